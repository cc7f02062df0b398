import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { feasibilityOf } from '../model/feasibility.ts';
import { parseConfiguration, type Configuration } from './load.ts';

function load(name: string, variables: Record<string, string>): Configuration {
  const path = fileURLToPath(new URL(`../../examples/${name}/lifeboat.yaml`, import.meta.url));
  const environment = { variables, workingFolder: '/', homeFolder: '/home/me' };
  return parseConfiguration(readFileSync(path, 'utf8'), { path, environment });
}

const hour = 3_600_000;

test('hastecrm runs from its classic variables: nightly, local 7 days, S3 a year (S1-12…15, S1-64)', () => {
  const { application, warnings } = load('hastecrm', {
    POSTGRES_HOST: 'postgres',
    POSTGRES_PASSWORD: 'pw',
    REDIS_HOST: 'redis',
    S3_BACKUP_BUCKET: 'bucket',
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
  });
  expect(warnings).toEqual([]);
  expect(application.repositories.map(({ location }) => location)).toEqual([
    expect.stringMatching(/examples\/hastecrm\/backups$/),
    's3://bucket/hastecrm-backups',
  ]);
  expect(application.repositories[1]?.s3).toMatchObject({ region: 'us-east-1', accessKeyId: 'key' });
  const [database, cache] = application.components;
  expect(database).toMatchObject({
    host: 'postgres',
    databases: ['crm_dev'],
    objectives: { rpoMs: 24 * hour, rtoMs: hour },
  });
  expect(cache).toMatchObject({ host: 'redis', objectives: { rpoMs: 24 * hour, rtoMs: hour } });
  const none = { years: 0, months: 0, days: 0, hours: 0 };
  expect(database?.policy).toMatchObject({
    schedules: [{ kind: 'cron', cron: '0 2 * * *', timeZone: undefined }],
    targets: [
      { repository: 'local', retention: { keepWithin: { ...none, days: 7 } } },
      {
        repository: 'offsite',
        retention: { keepWithin: { ...none, days: 90 }, keepWithinMonthly: { ...none, days: 365 } },
      },
    ],
  });
});

test('aigentable keeps 7 days, 4 weeks, 12 months, Redis 3 days, and is warned of its RPO (S2-015…039, SF-02)', () => {
  const { application, warnings } = load('aigentable', { POSTGRES_HOST: 'db', REDIS_HOST: 'redis' });
  const named = new Map(application.components.map((component) => [component.name, component]));
  expect(named.get('database')?.policy).toMatchObject({
    schedules: [
      { kind: 'cron', timeZone: 'UTC' },
      { kind: 'interval', everyMs: 4 * hour },
    ],
    targets: [
      { repository: 'local', retention: { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 } },
      { repository: 'offsite' },
    ],
  });
  expect(named.get('cache')?.policy).toMatchObject({
    schedules: [{ everyMs: 6 * hour }],
    targets: [{ retention: { keepWithin: { days: 3 } } }, {}],
  });
  expect(named.get('logs')?.policy.schedules).toMatchObject([{ cron: '0 4 * * 0' }]);
  expect(warnings).toEqual([]);
  const known = {
    fromMs: Date.UTC(2026, 0, 1),
    durationsMs: new Map<string, number>(),
    restoresMs: new Map<string, number>(),
  };
  const { contradictions } = feasibilityOf({ application, components: application.components, ...known });
  expect(contradictions.map(({ message }) => message)).toEqual([
    'backups to offsite are up to 4h apart: up to 4h, and what comes while one runs, may be lost; promised is 1h',
  ]);
});
