// Who is told what, by a server that runs: backups that are missing, fail or are too old, checks that can't be made; over the channels and
// through the people that the source documents name.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AlertsListData } from '../../src/cli/commands/alerts-list.ts';
import type { AlertsShowData } from '../../src/cli/commands/alerts-show.ts';
import type { AvailabilityData } from '../../src/cli/commands/availability.ts';
import { mailReceiver, webReceiver, type MailReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import { runHere } from '../support/lifeboat.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';
import { eventually, startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

interface Settings {
  readonly web: string;
  readonly mailPort: number;
  readonly topic: string;
  readonly endpoint: string;
  readonly keyId: string;
}

const configuration = ({ web, mailPort, topic, endpoint, keyId }: Settings): string => `
application: kessan
environment: production
repositories:
  local: { location: ./local }
components:
  database:
    type: files
    paths: [./data]
    objectives: { rpo: 15s, availability: 99.9% }
    policy: { schedule: { every: 2s }, repositories: [local], proof: { schedule: { every: 3s } } }
probes:
  health: { type: http, url: '${web}/health', component: database, every: 1s }
  space: { type: disk, path: /, warn: 100%, min: 0%, every: 1s }
alerts:
  channels:
    incident-response: { type: slack, url: '${web}/slack' }
    incident-room: { type: teams, url: '${web}/teams' }
    pager: { type: pagerduty, routingKey: 0123456789abcdef0123456789abcdef, url: '${web}' }
    sms: { type: twilio, accountSid: AC17, authToken: planted-token, from: '+15005550006', url: '${web}' }
    mail: { type: email, host: 127.0.0.1, port: ${mailPort}, security: none, from: lifeboat@example.com }
    topic:
      { type: sns, topic: '${topic}', endpoint: '${endpoint}', region: us-east-1, accessKeyId: ${keyId}, secretAccessKey: planted-key }
    gone: { type: slack, url: '${web}/gone' }
  contacts:
    dr-coordinator: { role: DR coordinator, reach: [{ channel: sms, to: '+15550000001' }] }
    technical-lead: { reach: [{ channel: gone }, { channel: mail, to: tech-lead@example.com }] }
    cto: { role: management, reach: [{ channel: mail, to: cto@example.com }] }
  escalations:
    disaster:
      - { channels: [incident-response, incident-room, pager, topic], contacts: [dr-coordinator] }
      - { after: 3s, contacts: [technical-lead] }
      - { after: 6s, contacts: [cto] }
  rules:
    - { severity: critical, escalation: disaster, for: 1s }
    - { severity: warning, channels: [incident-response], for: 1s }
  reports: [{ jobs: [backup], contacts: [cto] }]
  group: 1s
`;

const dashboard = readFileSync(new URL('../../docs/monitoring/grafana-dashboard.json', import.meta.url), 'utf8');

/** As the services answer. */
const answers: Record<string, readonly [number, string]> = {
  '/slack': [200, 'ok'],
  '/teams': [202, ''],
  '/v2/enqueue': [202, '{"status":"success","dedup_key":"key"}'],
  '/gone': [404, 'no_service'],
  '/health': [200, 'ok'],
  '/topic': [200, ''],
};
const twilioAnswer = [201, '{"sid":"SM42","status":"queued"}'] as const;

await describeWithS3('a server that alerts', () => {
  let home: TemporaryFolder;
  let web: WebReceiver;
  let mail: MailReceiver;
  let server: ServerProcess;
  let token: string;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    home = stack.use(await temporaryFolder());
    web = stack.use(await webReceiver());
    web.answer = (response, { path }) => {
      const [status, body] = answers[path] ?? twilioAnswer;
      response.writeHead(status).end(body);
    };
    mail = stack.use(await mailReceiver({ authOptional: true, disabledCommands: ['STARTTLS'] }));
    const aws = stack.use(await startS3Server());
    const { endpoint, region = '', credentials } = aws.client;
    if (credentials === undefined) throw new Error('moto has credentials');
    const { accessKeyId, secretAccessKey } = credentials;
    const sns = new SNSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    stack.defer(() => sns.destroy());
    const { TopicArn: topic = '' } = await sns.send(new CreateTopicCommand({ Name: 'kessan-backup-alerts' }));
    await sns.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'http', Endpoint: `${web.url}/topic` }));
    const settings = { web: web.url, mailPort: mail.port, topic, endpoint, keyId: accessKeyId };
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(settings));
    await lifeboat('repository', 'init', '--repository', 'local');
    ({ token } = JSON.parse((await lifeboat('token', 'create', 'grafana', '--role', 'viewer')).stdout) as {
      token: string;
    });
    server = stack.use(await startServerProcess(home.path));
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  async function lifeboat(...args: string[]): Promise<{ exitCode: number; stdout: string }> {
    const { exitCode, stdout } = await runHere([...args, '--json'], { folder: home.path });
    return { exitCode, stdout };
  }

  const bodies = (path: string): string[] =>
    web.requests.filter((request) => request.path.startsWith(path)).map(({ body }) => body);
  const mailsTo = (address: string, text: string): number =>
    mail.mails.filter(({ to, source }) => to.includes(address) && source.includes(text)).length;
  const alerts = async (): Promise<AlertsListData['alerts']> =>
    (JSON.parse((await lifeboat('alerts', 'list', '--all')).stdout) as AlertsListData).alerts;

  async function metrics(): Promise<string> {
    const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
    const answer = await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    return answer.text();
  }
  const stands = async (standing: string): Promise<boolean> =>
    (await metrics()).includes(
      `lifeboat_component_standing{application="kessan",component="database",standing="${standing}"} 1`,
    );

  test('S1-42 S1-43 S2-107 S2-108 S2-109 S2-110 S2-111 S3-63 S3-64 S3-67 S3-70 S4-115 S4-116 without a backup Slack, Teams, PagerDuty, SMS, mail and a topic are told', async () => {
    const isTold = (path: string): boolean => bodies(path).some((body) => /there is no backup|Unprotected/.test(body));
    await eventually(() => ['/slack', '/teams', '/v2/enqueue', '/2010-04-01/', '/topic'].every(isTold));
    expect(bodies('/slack').join('')).toContain('database: Unprotected');
    expect(decodeURIComponent(bodies('/2010-04-01/')[0] ?? '')).toContain('+15550000001');
    expect(bodies('/topic').join('')).toContain('database: Unprotected');
  });

  test('S0-44 the dashboard is given that nothing protects the database', async () => {
    expect(dashboard).toContain('count(lifeboat_component_standing{');
    expect(await stands('unprotected')).toBe(true);
    expect(await stands('protected')).toBe(false);
  });

  test('S3-05 S4-114 S2-086 S2-087 nobody answers: it goes from the coordinator to the lead, by mail where Slack is dead, and to management', async () => {
    await eventually(() => mailsTo('tech-lead@example.com', 'Unprotected') > 0);
    await eventually(() => mailsTo('cto@example.com', 'Unprotected') > 0);
    const id = (await alerts()).find(({ title }) => title === 'Unprotected')?.id ?? '';
    const { deliveries } = JSON.parse((await lifeboat('alerts', 'show', id)).stdout) as AlertsShowData;
    expect(deliveries.map(({ channel, contact, outcome }) => `${channel} ${contact} ${outcome}`)).toEqual(
      expect.arrayContaining([
        'sms dr-coordinator accepted',
        'gone technical-lead refused',
        'mail technical-lead accepted',
        'mail cto accepted',
      ]),
    );
    // A failed send is an alert of its own, and is said.
    await eventually(() => server.said().includes('Alerts do not arrive through gone'));
    expect((await lifeboat('alerts', 'list')).exitCode).toBe(1);
    expect((await lifeboat('alerts', 'acknowledge', id.slice(-8))).exitCode).toBe(0);
    await eventually(() => bodies('/v2/enqueue').some((body) => body.includes('"event_action":"acknowledge"')));
  });

  test('S0-56 S2-100 S1-08 S2-006 once backups and proofs go well, backups are reported, the dashboard sees it recover, and the alert is resolved everywhere', async () => {
    mkdirSync(join(home.path, 'data'));
    writeFileSync(join(home.path, 'data', 'file'), 'content');
    await eventually(() => mailsTo('cto@example.com', 'Backup succeeded') > 0);
    await eventually(() => bodies('/v2/enqueue').some((body) => body.includes('"event_action":"resolve"')));
    await eventually(() => stands('protected'));
    const wanted = [...new Set(dashboard.match(/\blifeboat_component_\w+/g))];
    expect(wanted.length).toBeGreaterThan(2);
    await eventually(async () => {
      const shown = await metrics();
      return wanted.every((name) => shown.includes(`\n${name}{`));
    });
    await eventually(() => mailsTo('tech-lead@example.com', 'RESOLVED') > 0);
    const alert = (await alerts()).find(({ subject }) => subject === 'standing/database');
    expect([alert?.state, alert?.resolvedAtMs]).toEqual(['resolved', expect.any(Number)]);
  });

  test(
    'S3-65 S3-66 S3-68 S3-69 a check that fails is an alert, and so is a newest backup that is too old',
    { timeout: 120_000 },
    async () => {
      const isTold = async (pattern: RegExp): Promise<void> => {
        const before = bodies('/slack').length;
        await eventually(() =>
          bodies('/slack')
            .slice(before)
            .some((body) => pattern.test(body)),
        );
      };
      renameSync(join(home.path, 'local'), join(home.path, 'moved'));
      await isTold(/At risk|State unknown|Unprotected/);
      renameSync(join(home.path, 'moved'), join(home.path, 'local'));
      await isTold(/RESOLVED/);
      renameSync(join(home.path, 'data'), join(home.path, 'elsewhere'));
      await eventually(() => bodies('/slack').some((body) => body.includes('RPO breached')));
      expect(bodies('/slack').find((body) => body.includes('RPO breached'))).toContain('15s');
    },
  );

  test('S2-102 S2-105 S2-106 S3-58 an application that does not answer and a disk without room are alerts, and the time counts', async () => {
    const told = (text: string): boolean => bodies('/slack').some((body) => body.includes(text));
    answers['/health'] = [503, ''];
    await eventually(() => told('health: Down') && told('space: Degraded'));
    expect(bodies('/slack').find((body) => body.includes('health: Down'))).toContain('status 503');
    const { exitCode, stdout } = await lifeboat('availability');
    const { probes } = JSON.parse(stdout) as AvailabilityData;
    expect(exitCode).toBe(30);
    expect(
      probes.map(({ probe, outcome, percent, objectivePercent }) => [probe, outcome, percent, objectivePercent]),
    ).toEqual([
      ['health', 'down', expect.closeTo(50, -2) as number, 99.9],
      ['space', 'degraded', 100, undefined],
    ]);
  });

  test('S4-123 S4-124 when it works again it counts how long that took, and how many tests of recovery went well', async () => {
    answers['/health'] = [200, ''];
    const healthOf = async (): Promise<AvailabilityData['probes'][number] | undefined> =>
      (JSON.parse((await lifeboat('availability')).stdout) as AvailabilityData).probes.find(
        ({ probe }) => probe === 'health',
      );
    await eventually(async () => (await healthOf())?.outcome === 'up');
    const { outages, meanRecoveryMs = 0 } = (await healthOf()) ?? {};
    expect([outages, meanRecoveryMs > 1000, meanRecoveryMs < 120_000]).toEqual([1, true, true]);
    const shown = await metrics();
    const valueOf = (name: string, label: string): number =>
      Number(
        shown
          .split('\n')
          .find((line) => line.startsWith(`lifeboat_${name}{`) && line.includes(label))
          ?.split(' ')[1],
      );
    expect(valueOf('probe_recovery_mean_seconds', 'probe="health"')).toBeCloseTo(meanRecoveryMs / 1000, 3);
    expect(valueOf('probe_outages_last_month', 'probe="health"')).toBe(1);
    const proofs = (state: string): number => valueOf('runs_last_day', `kind="proof",state="${state}"`);
    expect([proofs('succeeded') > 0, proofs('failed') > 0]).toEqual([true, true]);
  });

  test('silences, answers and who gave them are kept', async () => {
    const silenced = await lifeboat('alerts', 'silence', 'database', '--for', '2h', '--reason', 'we move it');
    const { id } = JSON.parse(silenced.stdout) as { id: string };
    expect((await lifeboat('alerts', 'silences')).stdout).toContain(id);
    expect((await lifeboat('alerts', 'unsilence', id)).exitCode).toBe(0);
    expect((await lifeboat('alerts', 'silences')).stdout).not.toContain(id);
    const audit = (await lifeboat('audit', 'list')).stdout;
    for (const action of ['alert.acknowledged', 'silence.begun', 'silence.ended']) expect(audit).toContain(action);
    expect(server.said()).not.toContain('planted');
  });
});
