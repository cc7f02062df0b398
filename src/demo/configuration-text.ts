// The lifeboat.yaml of the demonstration. It stays when the servers are gone, so it says which of them are.
import type { DemoCache, DemoDatabase } from './parts.ts';
import { shopDatabase } from './shop-database.ts';

/** Holds the password of the throw-away server while it runs; it is never written down. */
export const databasePasswordVariable = 'LIFEBOAT_DEMO_DATABASE_PASSWORD';

export interface ShopServers {
  readonly database: DemoDatabase | undefined;
  readonly cache: DemoCache | undefined;
}

export function configurationText({ database, cache }: ShopServers): string {
  return [
    `# The application of the demonstration ('npm start'). Its servers ran only while it lasted; its backups stay.`,
    'application: demo-shop',
    'environment: demo',
    '',
    'repositories:',
    '  local:',
    '    location: ./repository',
    '    passwordFile: ./password',
    '',
    'policies:',
    '  nightly:',
    "    schedule: { cron: '30 2 * * *' }",
    '    repositories: [local]',
    '    retention: { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 }',
    '',
    'components:',
    ...(database === undefined ? [] : databaseLines(database)),
    ...(cache === undefined ? [] : cacheLines(cache)),
    '  uploads:',
    '    type: files',
    '    tier: P1',
    '    objectives: { rpo: 24h, rto: 1h }',
    '    paths: [./shop/uploads]',
    '    policy: nightly',
    '  configuration:',
    '    type: config',
    '    tier: P1',
    '    objectives: { rpo: 24h, rto: 1h }',
    '    files: [./shop/.env]',
    '    compose: [./shop/compose.yaml]',
    '    policy: nightly',
    '',
  ].join('\n');
}

function databaseLines({ host, port, user }: DemoDatabase): string[] {
  return [
    '  database: # stopped since the demonstration ended; backed up as it lies on its disk',
    '    type: postgres',
    '    tier: P0 # recovered first',
    '    objectives: { rpo: 24h, rto: 1h }',
    `    host: ${host}`,
    `    port: ${port}`,
    `    user: ${user}`,
    `    password: \${${databasePasswordVariable}:-stopped}`,
    '    sslmode: disable',
    '    # Changes go to the repository as they happen, between backups too: `lifeboat journal run database`.',
    '    journal: { interval: 1s, spool: ./spool }',
    '    # What restored data must satisfy to count as proven, beside being the same row for row.',
    `    checks: [{ database: ${shopDatabase}, sql: select count(*) from orders, min: 1 }]`,
    '    policy: nightly',
  ];
}

function cacheLines({ socketPath }: DemoCache): string[] {
  return [
    '  cache: # stopped since the demonstration ended',
    '    type: redis',
    '    tier: P1',
    '    objectives: { rpo: 24h, rto: 1h }',
    `    url: ${JSON.stringify(`unix://${socketPath}`)}`,
    '    checks: [{ keys: "session:*", min: 1 }]',
    '    policy: nightly',
  ];
}
