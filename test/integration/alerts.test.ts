// Alerts from end to end: what the catalog knows is judged, sent to real receivers, falls to the next way where one is dead, and is
// answered by people.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditLogOf } from '../../src/access/audit-log.ts';
import { systemClock } from '../../src/base/clock.ts';
import { deliveriesOf } from '../../src/catalog/alert-deliveries.ts';
import { listAlerts } from '../../src/catalog/alerts.ts';
import { saveStandings } from '../../src/catalog/standings.ts';
import type { AlertsListData } from '../../src/cli/commands/alerts-list.ts';
import type { AlertsShowData } from '../../src/cli/commands/alerts-show.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { Alerting } from '../../src/service/alerting.ts';
import { answerAlert, beginSilence, liftSilence } from '../../src/service/alert-answers.ts';
import { mailReceiver, webReceiver } from '../support/alert-receivers.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { eventually, startServerProcess } from '../support/server-process.ts';
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
      newId: randomUUIDv7,
      onNote: (note) => void notes.push(note),
      onProblem: (error) => expect.fail(error.message),
    });
    const stand = async (standing: string, components = ['database', 'uploads']): Promise<void> => {
      const seenAtMs = await catalog.nowMs();
      const row = { application: 'shop', standing, reason: 'it was never backed up', hint: 'Back it up.', seenAtMs };
      const rows = components.map((component) => ({ ...row, component, ageMs: 7_200_000, rpoMs: 3_600_000 }));
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
    await liftSilence(log, silence.slice(-8), actor);
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

const configuration = (hook: string, paths: string): string => `
application: shop
repositories:
  local: { location: ./local }
components:
  files:
    type: files
    paths: [${paths}]
    objectives: { rpo: 1h }
    policy: { schedule: { every: 2s }, repositories: [local] }
alerts:
  channels:
    hook: { type: webhook, url: "${hook}/hook", secret: "\${HOOK_SECRET:-${secret}}" }
  rules: [{ channels: [hook], for: 1s }]
  group: 1s
`;

test('a server tells that backups fail, who takes care of it, and that it is over', { timeout: 180_000 }, async () => {
  await using home = await temporaryFolder();
  await using hook = await webReceiver();
  mkdirSync(join(home.path, 'data'));
  writeFileSync(join(home.path, 'data', 'file'), 'content');
  writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(hook.url, './missing'));
  const lifeboat = async (...args: string[]): Promise<{ exitCode: number; stdout: string }> => {
    const { exitCode, stdout } = await runLifeboat([...args, '--json'], { folder: home.path });
    return { exitCode, stdout };
  };
  await lifeboat('repository', 'init', '--repository', 'local');
  await using server = await startServerProcess(home.path);
  const sent = (): Sent[] => hook.requests.map(({ body }) => JSON.parse(body) as Sent);
  const isAbout = (state: string): boolean => sent().some((one) => one.component === 'files' && one.state === state);
  await eventually(() => isAbout('firing'));
  const { exitCode, stdout } = await lifeboat('alerts', 'list');
  const { alerts } = JSON.parse(stdout) as AlertsListData;
  expect(exitCode).toBe(1);
  expect(alerts[0]).toMatchObject({ component: 'files', state: 'firing', title: 'Unprotected' });
  const id = alerts[0]?.id.slice(-8) ?? '';
  expect((await lifeboat('alerts', 'acknowledge', id)).exitCode).toBe(0);
  await eventually(() => isAbout('acknowledged'));
  const shown = JSON.parse((await lifeboat('alerts', 'show', id)).stdout) as AlertsShowData;
  expect(shown.deliveries[0]).toMatchObject({ channel: 'hook', state: 'firing', outcome: 'accepted' });
  // Never proven is not protected, but not the same alert any more: it got better, so nobody is told before it is over.
  const proven = configuration(hook.url, './data').replace(
    'repositories: [local] }',
    'repositories: [local], proof: { schedule: { every: 3s } } }',
  );
  writeFileSync(join(home.path, 'lifeboat.yaml'), proven);
  await eventually(() => isAbout('resolved'));
  expect((await lifeboat('alerts', 'list')).exitCode).toBe(0);
  expect(server.said()).toContain('alert resolved');
  const { id: silence } = JSON.parse((await lifeboat('alerts', 'silence', 'files', '--for', '2h')).stdout) as {
    id: string;
  };
  expect((await lifeboat('alerts', 'silences')).stdout).toContain(silence);
  expect((await lifeboat('alerts', 'unsilence', silence)).exitCode).toBe(0);
  expect((await lifeboat('alerts', 'silences')).stdout).not.toContain(silence);
  expect((await lifeboat('alerts', 'resolve', id)).exitCode).toBe(1);
  expect((await lifeboat('audit', 'list')).stdout).toMatch(/alert\.acknowledged.*/s);
});
