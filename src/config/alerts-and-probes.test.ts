import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { parseConfiguration, type Configuration } from './load.ts';

const start = `application: shop
repositories: { local: { location: /srv/backup, password: secret } }
components: { data: { type: files, paths: [/srv/data] } }
`;

function parse(alerts: string, variables: Record<string, string> = {}): Configuration {
  const environment = { variables, workingFolder: '/srv', homeFolder: '/root' };
  return parseConfiguration(start + alerts, { path: '/srv/lifeboat.yaml', environment });
}

function problemOf(alerts: string, variables?: Record<string, string>): string {
  try {
    parse(alerts, variables);
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
  return 'none';
}

test('a channel or contact that refers to what is not set is left out and told, and nothing else is', () => {
  const text = `alerts:
  channels:
    chat: { type: slack, url: "\${SLACK_URL}" }
    mail: { type: email, host: mail.example, from: a@example.com, to: ["\${OPS_MAIL}"], ca: certificates.pem }
  contacts:
    anna: { reach: [{ channel: chat }, { channel: mail, to: "\${ANNA_MAIL}" }] }
    ben: { reach: [{ channel: chat }] }
`;
  const { alerts, unset, warnings } = parse(text, { OPS_MAIL: 'ops@example.com' });
  expect(Object.keys(alerts.channels)).toEqual(['mail']);
  expect(Object.keys(alerts.contacts)).toEqual(['ben']);
  expect(alerts.channels['mail']).toMatchObject({ to: ['ops@example.com'], ca: '/srv/certificates.pem' });
  expect([...unset.keys()]).toEqual(['alerts.channels.chat', 'alerts.contacts.anna']);
  expect(warnings.map(({ aspect, message }) => `${aspect} ${message}`)).toContainEqual(
    'alerts.channels.chat lifeboat.yaml:6:31: alerts.channels.chat.url: found ${SLACK_URL}, which is not set, expected the environment variable SLACK_URL, or ${SLACK_URL:-default}',
  );
});

test('a heartbeat whose address is not set is left out and told, and nothing else is', () => {
  const { alerts, unset } = parse('alerts: { heartbeat: { url: "${BEAT_URL}" }, group: 30s }\n');
  expect([alerts.heartbeat, alerts.groupMs, [...unset.keys()]]).toEqual([undefined, 30_000, ['alerts.heartbeat']]);
});

test.each([
  ['contacts: { a: { reach: [{ channel: chatt }] } }', "found 'chatt', expected the name of a channel"],
  ['contacts: { a: { reach: [{ channel: chat, to: a@example.com }] } }', 'found an address, expected none'],
  ['contacts: { a: { reach: [{ channel: sms, to: a@example.com }] } }', 'expected a telephone number'],
  ['contacts: { a: { reach: [{ channel: sms }] } }', "missing key 'to', expected a telephone number"],
  ['contacts: { a: { reach: [] } }', 'alerts.contacts.a.reach'],
  ['rules: [{ channels: [chatt] }]', "alerts.rules.0.channels.0: found 'chatt', expected the name of a channel"],
  ['rules: [{ escalation: night }]', "found 'night', expected the name of an escalation"],
  ['rules: [{ channels: [chat], components: [dada] }]', "found 'dada', expected the name of a component"],
  ['rules: [{ channels: [chat], silent: true }]', 'expected one of escalation, silent, and channels or contacts'],
  ['escalations: { night: [{ contacts: [anna] }] }', "found 'anna', expected the name of a contact"],
  ['escalations: { night: [{ after: 5m }] }', 'expected channels or contacts'],
  [
    'escalations: { night: [{ after: 5m, channels: [chat] }, { channels: [chat] }] }',
    'expected steps in the order of their after',
  ],
])('alerts with %s are refused', (contacts, problem) => {
  const channels =
    'channels: { chat: { type: slack, url: "https://x.example" }, sms: { type: sns-sms, region: eu-west-1 } }';
  expect(problemOf(`alerts: { ${channels}, ${contacts} }`)).toContain(problem);
});

test.each([
  ['{ type: slack, url: planted }', 'url'],
  ['{ type: webhook, url: "https://x.example/planted", secret: planted }', 'at least 16 characters'],
  ['{ type: email, host: h, from: a@example.com, security: none, username: u, password: planted }', 'in clear'],
  ['{ type: email, host: h, from: a@example.com, username: u }', 'username and password together'],
  ['{ type: twilio, accountSid: AC1, authToken: planted }', 'either from or messagingService'],
  ['{ type: sns, topic: alerts }', 'the ARN of a topic'],
  ['{ type: sns-sms, to: 0301234 }', 'a telephone number'],
  ['{ type: sns-sms, to: +4930123456 }', 'a telephone number in quotes'],
])('a channel %s is refused without showing its secret', (channel, problem) => {
  const message = problemOf(`alerts: { channels: { one: ${channel} } }`);
  expect(message).toContain(problem);
  expect(message).not.toContain('planted');
});

const servers = start.replace(
  '[/srv/data] } }',
  '[/srv/data] }, cache: { type: redis, host: c }, database: { type: postgres, host: d } }',
);

test('probes have their defaults, absolute paths, and are left out where something is not set', () => {
  const text = `probes:
  site: { type: http, url: "https://shop.example/", headers: { Authorization: "\${PROBE_TOKEN}" } }
  disk: { type: disk, path: data, warn: 5 GB, component: data }
  plugin: { type: script, run: [./check.sh, ./argument], every: 5m, timeout: 1m }
  other: { type: script, run: [check_load] }
`;
  const { probes, unset } = parse(text);
  expect([...unset.keys()]).toEqual(['probes.site']);
  expect(probes['disk']).toMatchObject({
    path: '/srv/data',
    warn: { sizeBytes: 5e9 },
    min: { share: 0.05 },
    everyMs: 60_000,
    timeoutMs: 10_000,
    damping: { worse: 2, of: 3, better: 2, flappingStart: 0.4 },
  });
  expect(probes['plugin']).toMatchObject({ run: ['/srv/check.sh', './argument'], everyMs: 300_000, timeoutMs: 60_000 });
  expect(probes['other']).toMatchObject({ run: ['check_load'] });
});

test.each([
  ['{ type: sql, sql: SELECT 1, component: cache }', 'found a component of type redis, expected one of type postgres'],
  ['{ type: redis, component: database }', 'found a component of type postgres, expected one of type redis'],
  ['{ type: disk, path: /, component: dta }', "found 'dta', expected the name of a component"],
  ['{ type: http, url: "https://me:planted@shop.example/" }', 'without a password'],
  ['{ type: http, url: "https://shop.example/", matches: "(" }', 'a regular expression'],
  ['{ type: http, url: "https://shop.example/", status: [2xy] }', 'a status such as 200, or 2xx'],
  ['{ type: process }', 'one of pidFile, command and unit'],
  ['{ type: dns, name: shop.example, resolver: ns1.example }', 'an IP address'],
  ['{ type: disk, path: /, damping: { worse: 4, of: 3 } }', 'worse to be at most of'],
  ['{ type: disk, path: /, min: much }', 'a share such as 10%, or a size such as 5 GiB'],
])('a probe %s is refused', (probe, problem) => {
  let message = 'none';
  try {
    const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
    parseConfiguration(`${servers}probes: { one: ${probe} }`, { path: '/srv/lifeboat.yaml', environment });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    message = error.message;
  }
  expect(message).toContain(problem);
  expect(message).not.toContain('planted');
});
