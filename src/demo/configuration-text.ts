// The lifeboat.yaml of the demonstration. It stays when the servers are gone, so it says which of them are.
import type { DemoCache, DemoDatabase } from './parts.ts';
import { shopDatabase } from './shop-database.ts';

export interface ShopServers {
  readonly database: DemoDatabase | undefined;
  readonly cache: DemoCache | undefined;
  readonly mailbox: { readonly port: number };
}

export interface Pace {
  readonly backups: string;
  readonly proofs: string;
}

/** While the story is told nobody shall wait; afterwards the machine has other things to do. */
export const paces = { story: { backups: '10s', proofs: '20s' }, afterwards: { backups: '1m', proofs: '5m' } } as const;

export interface ConfigurationWish {
  readonly databasePasswordFile: string;
  readonly pace: Pace;
}

/** Quotes as in JSON, which is YAML as well. */
export function configurationText(
  { database, cache, mailbox }: ShopServers,
  { databasePasswordFile, pace }: ConfigurationWish,
): string {
  return [
    `# The application of the demonstration ('npm start'). Its servers run only while it lasts; its backups stay.`,
    'application: demo-shop',
    'environment: demo',
    '',
    'repositories:',
    '  local:',
    '    location: ./repository',
    '    passwordFile: ./password',
    '',
    '# So often only to show it: for a shop, see the examples in docs/schedules.md.',
    'policies:',
    '  often:',
    `    schedule: { every: ${pace.backups} }`,
    '    repositories: [local]',
    `    proof: { schedule: { every: ${pace.proofs} } }`,
    "    retention: { keepLast: 20, keepDaily: 7, schedule: { cron: '30 2 * * *' } }",
    '',
    'components:',
    ...(database === undefined ? [] : databaseLines(database, databasePasswordFile)),
    ...(cache === undefined ? [] : cacheLines(cache)),
    '  uploads:',
    '    type: files',
    '    tier: P1',
    '    objectives: { rpo: 1h, rto: 5m }',
    '    paths: [./shop/uploads]',
    '    policy: often',
    '  configuration:',
    '    type: config',
    '    tier: P1',
    '    objectives: { rpo: 1h, rto: 5m }',
    '    files: [./shop/.env]',
    '    compose: [./shop/compose.yaml]',
    '    policy: often',
    '',
    '# What the server looks at to know whether the shop works, and whom it tells when it does not.',
    'probes:',
    database === undefined ? filesProbe : databaseProbe,
    '',
    'alerts:',
    '  channels:',
    `    mail: { type: email, host: 127.0.0.1, port: ${mailbox.port}, security: none, from: lifeboat@shop.example }`,
    '  contacts:',
    '    on-call: { reach: [{ channel: mail, to: on-call@shop.example }] }',
    '  rules:',
    '    - { kinds: [probe], contacts: [on-call], for: 1s }',
    '    - { contacts: [on-call] }',
    '  group: 1s',
    '',
  ].join('\n');
}

/** The name of the probe is what mails begin with. */
const databaseProbe =
  '  orders: { type: sql, component: database, database: ' +
  `${shopDatabase}, sql: 'SELECT count(*) FROM order_items', every: 1s }`;
const filesProbe = '  uploads: { type: script, component: uploads, run: [test, -e, ./shop/compose.yaml], every: 1s }';

function databaseLines({ host, port, user }: DemoDatabase, passwordFile: string): string[] {
  return [
    '  database: # backed up as it lies on its disk, while it runs',
    '    type: postgres',
    '    tier: P0 # recovered first',
    '    objectives: { rpo: 1h, rto: 5m }',
    `    host: ${host}`,
    `    port: ${port}`,
    `    user: ${user}`,
    `    password: ${JSON.stringify(`\${file:${passwordFile}}`)}`,
    '    sslmode: disable',
    '    # Changes go to the repository as they happen, between backups too.',
    '    journal: { interval: 1s, spool: ./spool }',
    '    # What restored data must satisfy to count as proven, beside being the same row for row.',
    `    checks: [{ database: ${shopDatabase}, sql: select count(*) from orders, min: 1 }]`,
    '    policy: often',
  ];
}

function cacheLines({ socketPath }: DemoCache): string[] {
  return [
    '  cache:',
    '    type: redis',
    '    tier: P1',
    '    objectives: { rpo: 1h, rto: 5m }',
    `    url: ${JSON.stringify(`unix://${socketPath}`)}`,
    '    checks: [{ keys: "session:*", min: 1 }]',
    '    policy: often',
  ];
}
