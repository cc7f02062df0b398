import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serversOfVariables } from './defaults.ts';
import { feasibilityOf } from '../model/feasibility.ts';
import { parseConfiguration } from './load.ts';
import { configurationTemplate, type TemplateAnswers } from './template.ts';

const environment = { variables: {}, workingFolder: '/app', homeFolder: '/home/me' };

const answers: TemplateAnswers = {
  application: 'shop',
  environment: 'production',
  schemaLocation: './lifeboat.schema.json',
  repositories: [
    { name: 'local', location: '/srv/backups', passwordFile: undefined },
    { name: 'offsite', location: 's3://bucket/shop', passwordFile: '/run/secrets/lifeboat' },
  ],
  components: [
    { name: 'database', type: 'postgres', host: 'db' },
    { name: 'cache', type: 'redis', host: undefined },
    { name: 'uploads', type: 'files', paths: ['uploads', '/srv/#x: y'] },
    { name: 'settings', type: 'config', files: ['.env'] },
  ],
  cron: '0 2 * * *',
  timeZone: 'Europe/Berlin',
};

test('the template is a valid file that says what was answered', () => {
  const { application, warnings } = parseConfiguration(configurationTemplate(answers), {
    path: '/app/lifeboat.yaml',
    environment,
  });
  expect(application).toMatchObject({
    name: 'shop',
    repositories: [
      { location: '/srv/backups' },
      { location: 's3://bucket/shop', passwordFile: '/run/secrets/lifeboat' },
    ],
    components: [
      { name: 'database', type: 'postgres', host: 'db', tier: 'P0' },
      { name: 'cache', type: 'redis', host: 'localhost' },
      { name: 'uploads', paths: ['/app/uploads', '/srv/#x: y'] },
      { name: 'settings', files: ['/app/.env'] },
    ],
  });
  expect(application.components[0]?.policy).toMatchObject({
    schedules: [{ kind: 'cron', cron: '0 2 * * *', timeZone: 'Europe/Berlin' }],
    targets: [{ repository: 'local' }, { repository: 'offsite' }],
  });
  expect(warnings).toEqual([]);
  // What it promises it can keep, with a backup of an hour.
  const known = {
    fromMs: 0,
    durationsMs: new Map([['backup/database', 3_600_000]]),
    restoresMs: new Map<string, number>(),
  };
  const { contradictions } = feasibilityOf({ application, components: application.components, ...known });
  expect(contradictions).toEqual([]);
});

test('an example stays valid when its commented keys are switched on', () => {
  const text = configurationTemplate(answers).replaceAll(/^( +)# (?=[a-z]+(?:File)?: )/gm, '$1');
  const variables = { POSTGRES_USER: 'a', POSTGRES_PASSWORD: 'b', REDIS_PASSWORD: 'c' };
  const { application } = parseConfiguration(text, {
    path: '/app/lifeboat.yaml',
    environment: { ...environment, variables },
  });
  expect(application.components[0]).toMatchObject({
    user: 'a',
    checks: [{ sql: 'select count(*) from users', min: 1 }],
  });
  expect(application.repositories[0]?.passwordFile).toBe('/run/secrets/lifeboat');
});

test('a server of variables is written with all that they say, its secrets as references', () => {
  const variables = {
    POSTGRES_HOST: 'db',
    POSTGRES_PORT: '5433',
    POSTGRES_USER: 'a: b',
    POSTGRES_DB: 'x${y}',
    PGPASSWORD: 'hushed',
    REDIS_URL: 'redis://:hushed@cache:7/1',
  };
  const known = { ...environment, variables };
  const components = serversOfVariables(known);
  const text = configurationTemplate({ ...answers, components });
  expect(text).not.toContain('hushed');
  const { application } = parseConfiguration(text, { path: '/app/lifeboat.yaml', environment: known });
  expect(application.components).toMatchObject([
    { name: 'database', host: 'db', port: 5433, user: 'a: b', password: 'hushed', databases: ['x${y}'] },
    { name: 'cache', url: 'redis://:hushed@cache:7/1' },
  ]);
  expect(serversOfVariables(environment)).toEqual([]);
});

test('a variable that only the .env file sets is referred to like one of the environment, and marked', () => {
  const envFile = { DATABASE_URL: 'postgres://me:hushed@db/shop', REDIS_URL: 'redis://other' };
  const known = { ...environment, variables: { REDIS_URL: 'redis://cache' } };
  expect(serversOfVariables(known, envFile)).toEqual([
    { name: 'database', type: 'postgres', host: 'db', urlVariable: 'DATABASE_URL', isOfEnvFile: true },
    { name: 'cache', type: 'redis', host: 'cache', urlVariable: 'REDIS_URL' },
  ]);
});

test('a URL that can be written keeps its password out, which its own key refers to', () => {
  const url = 'rediss://cache:7';
  const components = [
    { name: 'cache', type: 'redis', host: 'cache', url, passwordVariable: 'REDIS_PASSWORD' },
  ] as const;
  const text = configurationTemplate({ ...answers, components });
  const known = { ...environment, variables: { REDIS_PASSWORD: 'hushed' } };
  const { application } = parseConfiguration(text, { path: '/app/lifeboat.yaml', environment: known });
  expect(application.components).toMatchObject([{ url, password: 'hushed' }]);
});

test('any path and host stays one value', () => {
  // `${` would be a reference, which is what it means in a file that a person wrote.
  const value = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes('${'));
  // A blank host counts as none, and white space around one is not part of it.
  const host = value.filter((text) => text.trim() === text && !text.includes('://') && !/^[^:]*:\d+$/.test(text));
  fc.assert(
    fc.property(value, host, (path, hostName) => {
      const components: TemplateAnswers['components'] = [
        { name: 'uploads', type: 'files', paths: [`/x/${path}`] },
        { name: 'database', type: 'postgres', host: hostName },
      ];
      const text = configurationTemplate({ ...answers, components });
      const { application } = parseConfiguration(text, { path: '/app/lifeboat.yaml', environment });
      expect(application.components).toHaveLength(2);
      expect(application.components[1]).toMatchObject({ host: hostName });
    }),
  );
});

test('an application without repositories and components yet is a valid section, not broken YAML', () => {
  const text = configurationTemplate({ ...answers, repositories: [], components: [] });
  expect(text).toContain('repositories: {}');
  expect(text).toContain('components: {}');
});
