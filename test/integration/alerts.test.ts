// Alerts from end to end: what the catalog knows is judged, sent to real receivers, falls to the next way where one is dead, and is
// answered by people.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { expect, test } from 'vitest';
import { auditLogOf } from '../../src/access/audit-log.ts';
import { systemClock } from '../../src/base/clock.ts';
import { deliveriesOf } from '../../src/catalog/alert-deliveries.ts';
import { listAlerts } from '../../src/catalog/alerts.ts';
import { neverRestored, saveStandings } from '../../src/catalog/standings.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { Alerting } from '../../src/service/alerting.ts';
import { answerAlert, beginSilence, liftSilence } from '../../src/service/alert-answers.ts';
import { mailReceiver, webReceiver } from '../support/alert-receivers.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Sent {
  readonly alertId: string;
  readonly state: string;
  readonly severity: string;
  readonly title: string;
  readonly component?: string;
  readonly by?: string;
  readonly facts: readonly { readonly name: string; readonly value: string }[];
}

const secret = 'key of sixteen letters';
const actor = { kind: 'machine', id: 'anna@test', name: 'anna', address: '' } as const;

describeWithCatalogs('alerts', (make) => {
  test('reach people by the way that works, one message for several, until somebody answers', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    await using folder = await temporaryFolder();
    await using hook = await webReceiver();
    await using dead = await webReceiver(undefined, (response) => response.writeHead(404).end());
    await using beats = await webReceiver();
    await using mails = await mailReceiver({ authOptional: true, disabledCommands: ['STARTTLS'] });
    const text = `application: shop
environment: production
repositories: { local: { location: /srv/backup, password: secret } }
components:
  database: { type: files, paths: [/srv/data] }
  uploads: { type: files, paths: [/srv/uploads] }
alerts:
  channels:
    hook: { type: webhook, url: "${hook.url}/hook", secret: ${secret} }
    dead: { type: webhook, url: "${dead.url}/gone", secret: ${secret} }
    mail: { type: email, host: 127.0.0.1, port: ${mails.port}, security: none, from: lifeboat@example.com }
  contacts:
    anna: { reach: [{ channel: dead }, { channel: mail, to: anna@example.com }] }
  escalations:
    all: [{ channels: [hook], contacts: [anna] }]
  rules: [{ escalation: all, for: 1ms }]
  group: 1ms
  heartbeat: { url: "${beats.url}/ping/planted-secret", every: 1h }
`;
    const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
    const { application, alerts, probes, unset } = parseConfiguration(text, {
      path: '/srv/lifeboat.yaml',
      environment,
    });
    const tenant = { application, configurationPath: '/srv/lifeboat.yaml', alerts, probes, unset };
    const notes: string[] = [];
    await using alerting = new Alerting({
      catalog,
      clock: systemClock,
      tenants: () => [tenant],
      holder: 'test',
      leaseMs: 60_000,
      newId: randomUUIDv7,
      onNote: (note) => void notes.push(note),
      onProblem: (error) => expect.fail(error.message),
    });
    const stand = async (standing: string, components = ['database', 'uploads']): Promise<void> => {
      const seenAtMs = await catalog.nowMs();
      const row = { application: 'shop', standing, reason: 'it was never backed up', hint: 'Back it up.', seenAtMs };
      const rows = components.map((component) => ({
        ...row,
        component,
        ageMs: 7_200_000,
        rpoMs: 3_600_000,
        ...neverRestored,
      }));
      await saveStandings(catalog, 'shop', rows);
    };
    const sent = (): Sent[] => hook.requests.map(({ body }) => JSON.parse(body) as Sent);
    const look = async (): Promise<void> => {
      await alerting.look();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await alerting.look();
    };

    await stand('protected');
    await look();
    expect(hook.requests).toEqual([]);
    expect(beats.requests.map(({ path }) => path)).toEqual(['/ping/planted-secret']);

    await stand('overdue');
    await look();
    await look();
    expect(sent()[0]).toMatchObject({ state: 'firing', severity: 'critical', title: '2 alerts' });
    expect(
      sent()[0]
        ?.facts.map(({ name }) => name)
        .toSorted(),
    ).toEqual(['database: RPO breached (critical)', 'uploads: RPO breached (critical)']);
    // The first way to Anna is dead: she has mail, and the dead channel is an alert of its own.
    expect(dead.requests.length).toBeGreaterThan(0);
    expect(mails.mails[0]?.to).toEqual(['anna@example.com']);
    await look();
    await look();
    const open = await listAlerts(catalog, { isOpen: true, limit: 10 });
    expect(open.map(({ subject, state }) => `${subject} ${state}`).toSorted()).toEqual([
      'channel/dead firing',
      'standing/database firing',
      'standing/uploads firing',
    ]);
    expect(sent()[1]).toMatchObject({ title: 'Alerts do not arrive through dead', severity: 'warning' });

    const database = open.find(({ subject }) => subject === 'standing/database');
    assert.ok(database !== undefined);
    const log = auditLogOf(catalog, folder.path);
    await answerAlert(log, { id: database.id, state: 'acknowledged', actor });
    await expect(answerAlert(log, { id: database.id, state: 'acknowledged', actor })).rejects.toMatchObject({
      code: 'ALREADY_DONE',
    });
    await look();
    expect(sent()).toHaveLength(3);
    expect(sent()[2]).toMatchObject({ state: 'acknowledged', by: 'anna', alertId: database.id });

    // What is silenced is still looked after.
    const wish = { application: 'shop', component: 'uploads', subject: null, reason: null, lastsMs: 3_600_000 };
    const silence = await beginSilence(log, wish, actor);
    await stand('protected');
    await look();
    const states = sent()
      .slice(3)
      .map(({ state, title }) => `${state} ${title}`);
    expect(states).toEqual(['resolved 2 alerts']);
    await stand('overdue', ['uploads']);
    await look();
    expect(sent()).toHaveLength(4);
    await liftSilence(log, silence, actor);
    await look();
    expect(sent()[4]).toMatchObject({ state: 'firing', component: 'uploads', title: 'RPO breached' });
    const rows = await deliveriesOf(catalog.db, [database.id]);
    expect(rows.map(({ channel, contact, state, outcome }) => [channel, contact, state, outcome].join(' '))).toEqual(
      expect.arrayContaining([
        'hook  firing accepted',
        'dead anna firing refused',
        'mail anna firing accepted',
        'hook  acknowledged accepted',
        'mail anna resolved accepted',
      ]),
    );
    expect(JSON.stringify([rows, notes])).not.toContain('planted-secret');
  });
});
