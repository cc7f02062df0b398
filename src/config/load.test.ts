import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { Environment } from './environment.ts';
import { loadConfiguration, parseConfiguration, type Configuration } from './load.ts';

function environmentOf(variables: Record<string, string> = {}, workingFolder = '/app'): Environment {
  return { variables, workingFolder, homeFolder: '/home/me' };
}

function parse(text: string, variables: Record<string, string> = {}): Configuration {
  return parseConfiguration(text, { path: '/app/lifeboat.yaml', environment: environmentOf(variables) });
}

function problemsOf(text: string, variables: Record<string, string> = {}): string[] {
  try {
    parse(text, variables);
  } catch (error) {
    if (error instanceof AppError && error.code === 'CONFIG_INVALID') {
      return error.message
        .split('\n')
        .filter((line) => /^\s*lifeboat\.yaml:|^environment|^ {2}/.test(line))
        .map((line) => line.trim());
    }
    throw error;
  }
  return [];
}

const head = 'application: shop\nrepositories: { local: { location: ./backups } }\n';

describe('a valid file', () => {
  test('gives an application with every absent key decided', () => {
    const { application, warnings } = parse(`${head}components: { cache: { type: redis, host: cache } }`);
    expect(application).toMatchObject({
      name: 'shop',
      environment: 'production',
      repositories: [{ name: 'local', location: '/app/backups', compression: 'auto' }],
      components: [
        {
          name: 'cache',
          tier: 'P1',
          policy: { schedules: [], targets: [{ repository: 'local', retention: {} }] },
          checks: [],
        },
      ],
    });
    expect(warnings).toEqual([]);
  });

  test('takes relative paths from its own folder, and ~ from the home folder', () => {
    const text = `application: shop
repositories: { local: { location: ~/backups, passwordFile: secret/password } }
components: { up: { type: files, paths: [uploads, /srv/x] }, conf: { type: config, files: [.env], gitFolder: . } }`;
    const { repositories, components } = parse(text).application;
    expect(repositories[0]).toMatchObject({ location: '/home/me/backups', passwordFile: '/app/secret/password' });
    expect(components).toMatchObject([
      { paths: ['/app/uploads', '/srv/x'] },
      { files: ['/app/.env'], gitFolder: '/app' },
    ]);
  });

  test('with a bracket that is never closed has that fault once for each place', () => {
    const places = problemsOf('application: a\nrepositories: {}\ncomponents: [\n- x: {\n').map(
      (line) => line.split(': ')[0],
    );
    expect(places.length).toBeGreaterThan(0);
    expect(new Set(places).size).toBe(places.length);
  });

  test('may have sections whose lines are all commented out', () => {
    const text = `${head}policies:\n  # nightly:\ncomponents:\n  cache:\n    type: redis\n    objectives:\n      # rpo: 1h\n`;
    expect(parse(text).application.components).toHaveLength(1);
  });

  test("adds a component's checks to those of its policy", () => {
    const text = `${head}policies: { nightly: { checks: [{ keys: 'a*' }] } }
components: { cache: { type: redis, policy: nightly, checks: [{ keys: 'b*', min: 1 }] } }`;
    expect(parse(text).application.components[0]?.checks).toEqual([{ keys: 'a*' }, { keys: 'b*', min: 1 }]);
  });

  test('warns of policies that nothing uses, not of a repository for copies', () => {
    const text = `application: shop
repositories: { local: { location: /a }, spare: { location: /b } }
policies: { nightly: { schedule: { every: 1d }, repositories: [local] }, old: {} }
components: { cache: { type: redis, policy: nightly } }`;
    expect(parse(text).warnings.map(({ aspect, message }) => `${aspect}: ${message}`)).toEqual([
      'policy old: no component uses it',
    ]);
  });
});

function postgres(lines: string): string {
  return `${head}components:\n  db:\n    type: postgres\n    host: db\n${lines}`;
}

describe('references', () => {
  test('fill in variables, fallbacks and files, and keep escaped ones', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'password');
    await writeFile(file, 'from the file\n');
    const text = postgres(
      `    password: \${file:${file}}\n    user: \${USER_NAME}-\${ROLE:-reader}\n    databases: ['$\${literal}']`,
    );
    expect(parse(text, { USER_NAME: 'app' }).application.components[0]).toMatchObject({
      password: 'from the file',
      user: 'app-reader',
      databases: ['${literal}'],
    });
  });

  test('give numbers where numbers are due, and text where text is due', () => {
    const text = postgres('    port: "${PORT}"\n    password: ${PASSWORD}');
    expect(parse(text, { PORT: '5433', PASSWORD: '123456' }).application.components[0]).toMatchObject({
      port: 5433,
      password: '123456',
    });
  });

  test('can not become structure', () => {
    const text = postgres('    user: ${USER_NAME}');
    const value = 'x\n    password: injected # ${PASSWORD}';
    expect(parse(text, { USER_NAME: value, PASSWORD: 'never' }).application.components[0]).toMatchObject({
      user: value,
    });
    expect(JSON.stringify(parse(text, { USER_NAME: value, PASSWORD: 'never' }))).not.toContain('never');
  });

  test('are named when they are not set, and the key is not called missing too', () => {
    expect(problemsOf(postgres('    user: ${NOBODY}\n    port: ${broken'))).toEqual([
      'lifeboat.yaml:7:11: components.db.user: found ${NOBODY}, which is not set, expected the environment variable NOBODY, or ${NOBODY:-default}',
      "lifeboat.yaml:8:11: components.db.port: found '${' without '}', expected '}', or '$${' for the characters themselves",
    ]);
  });

  test('of a connection that are not set stop only what needs that server', () => {
    const text = postgres('    user: ${DATABASE_USER}').replace(
      'components:',
      'components:\n  e: { type: config, files: [.env] }',
    );
    const { application, unreachable } = parse(text);
    expect(application.components).toMatchObject([{ name: 'e', files: ['/app/.env'] }, { name: 'db' }]);
    expect([...unreachable.keys()]).toEqual(['db']);
    expect(unreachable.get('db')).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('components.db.user: found ${DATABASE_USER}, which is not set'),
      hint: expect.stringContaining('.env'),
    });
    expect(parse(text, { DATABASE_USER: 'me' }).unreachable.size).toBe(0);
    expect(problemsOf(postgres('    databases: ["${NOBODY}"]'))).toHaveLength(1);
  });

  test('to files that can not be read are problems', () => {
    const { unreachable } = parse(postgres('    password: ${file:/none/at/all}'));
    expect(unreachable.get('db')?.message).toBe(
      'lifeboat.yaml:7:15: components.db.password: found ${file:/none/at/all}, which cannot be read (ENOENT), expected a file that can be read',
    );
  });
});

describe('a file with faults', () => {
  test('with jobs that would start each other for ever names them', () => {
    const policy = '{ schedule: { after: proof }, proof: { schedule: { after: backup } } }';
    expect(problemsOf(`${head}components: { c: { type: redis, policy: ${policy} } }`)).toEqual([
      'lifeboat.yaml:3:1: components: found jobs that start each other for ever, expected an end: backup/c, proof/c',
    ]);
  });

  test.each([
    ['tier: P9', "components.c.tier: found 'P9', expected 'P0', 'P1', 'P2' or 'P3'; did you mean 'P0'?"],
    ['hots: x', "components.c: unknown key 'hots'; did you mean 'host'?"],
    ['password:x y: 1', "components.c: found the key 'password:…', expected a space after the colon"],
    ['port: 70000', 'components.c.port: found 70000, expected a port from 1 to 65535'],
    ['host: x:5433', "components.c.host: found 'x:5433', expected a host alone; its port has the key 'port'"],
    [
      'host: redis://:hushed@db',
      "components.c.host: found text (not shown), expected a host alone; a whole address has the key 'url'",
    ],
    ['port: high', "components.c.port: found 'high', expected a port from 1 to 65535"],
    ['password: 12345', 'components.c.password: found a number (not shown), expected text; put it in quotes'],
    [
      'policy: nightli',
      "components.c.policy: found 'nightli', expected the name of a policy (there are: nightly); did you mean 'nightly'?",
    ],
    [
      'policy: { repositories: [locall] }',
      "components.c.policy.repositories.0: found 'locall', expected the name of a repository (there are: local); did you mean 'local'?",
    ],
    [
      'policy: { repositories: [local, { name: local }] }',
      "components.c.policy.repositories.1.name: found 'local' for the second time, expected each repository once",
    ],
    ['policy: { schedule: { evry: 4h } }', "components.c.policy.schedule: unknown key 'evry'; did you mean 'every'?"],
    [
      'policy: { schedule: { every: soon } }',
      "components.c.policy.schedule.every: found 'soon', expected a duration such as 90s, 15m, 36h, 1d12h, 2 weeks or PT4H30M",
    ],
    [
      'policy: { schedule: daily }',
      "components.c.policy.schedule: found 'daily', expected a schedule or a list of them",
    ],
    [
      "policy: { schedule: { cron: '0 0 31 2 *' } }",
      "components.c.policy.schedule.cron: found '0 0 31 2 *', expected a moment that comes; no year has this day (the last day of a month is L)",
    ],
    [
      "policy: { schedule: [{ window: '3-4' }] }",
      "components.c.policy.schedule.0.window: found '3-4', expected a window such as '03:00-04:00', '22:00-02:00' or 'sun:04:00-sun:05:00'",
    ],
    [
      "policy: { schedule: { window: '03:00-04:00', days: [moon] } }",
      "components.c.policy.schedule.days.0: found 'moon', expected a weekday such as mon, mon#1 (the first of the month) or fri#L (the last)",
    ],
    [
      'policy: { proof: { schedule: { after: backup, of: d } } }',
      "components.c.policy.proof.schedule.of: found 'd', expected the name of a component (there are: c); did you mean 'c'?",
    ],
    [
      'policy: { copy: { to: offsite } }',
      "components.c.policy.copy.to: found 'offsite', expected the name of a repository (there are: local)",
    ],
    [
      'policy: { repositories: [local], copy: [{ to: local }] }',
      "components.c.policy.copy.0.to: found 'local', expected a repository that the policy does not back up to",
    ],
    [
      'policy: { copy: { from: local, to: local } }',
      "components.c.policy.copy.to: found 'local', expected another repository than from",
    ],
    [
      'maintenance: [{ window: sun:04:00-sun:05:00, days: [mon] }]',
      'components.c.maintenance.0.days: found a list, expected the day either in the window or in days, not both',
    ],
    [
      'policy: { retention: { keepDaily: -1 } }',
      "components.c.policy.retention.keepDaily: found -1, expected a whole number from 0, or 'unlimited'",
    ],
    ['checks: [{ keys: x, minn: 3 }]', "components.c.checks.0: unknown key 'minn'; did you mean 'min'?"],
    [
      'objectives: { availability: 99.9 }',
      'components.c.objectives.availability: found 99.9, expected a percentage such as 99.95%; put it in quotes',
    ],
    ['objectives: [1h]', 'components.c.objectives: found a list, expected a map of keys'],
  ])('says of "%s" where, what was found and what is expected', (line, problem) => {
    const text = `${head}policies: { nightly: {} }\ncomponents:\n  c:\n    type: redis\n    ${line}\n`;
    const found = problemsOf(text).filter((item) => !item.includes('policy nightly'));
    expect(found).toEqual([expect.stringMatching(/^lifeboat\.yaml:7:\d+: /)]);
    expect(found[0]?.replace(/^\S+ /, '')).toBe(problem);
  });

  test.each([
    ['components:\n  c: { typ: redis }', "lifeboat.yaml:4:8: components.c: unknown key 'typ'; did you mean 'type'?"],
    [
      'components:\n  c: { type: rediss }',
      "lifeboat.yaml:4:14: components.c.type: found 'rediss', expected 'files', 'postgres', 'redis' or 'config'; did you mean 'redis'?",
    ],
    [
      'components:\n  c: {}',
      "lifeboat.yaml:4:3: components.c: missing key 'type', expected 'files', 'postgres', 'redis' or 'config'",
    ],
    [
      'components:\n  a b: { type: redis }',
      "lifeboat.yaml:4:3: components.a b: found the name 'a b', expected a name of up to 64 letters, digits, . _ and -",
    ],
    ['component: {}', "lifeboat.yaml:3:1: unknown key 'component'; did you mean 'components'?"],
    ['', "lifeboat.yaml:1:1: missing key 'components', expected a map of keys"],
    ['components: {}\ncomponents: {}', 'lifeboat.yaml:4:1: found a key for the second time, expected each key once'],
    ['components: { c: { type: redis, port: ${PORT} } }', expect.stringMatching(/^lifeboat\.yaml:3:40: .*quotes/)],
    ['components: {}\n\tx: 1', expect.stringMatching(/^lifeboat\.yaml:4:1: found a tab/)],
  ])('says of %j where and what', (text, problem) => {
    expect(problemsOf(`${head}${text}\n`)[0]).toEqual(problem);
  });

  test('lists all its problems at once, in the order of its lines', () => {
    const text =
      'aplication: shop\nrepositories: { a: { location: "ftp://x" } }\ncomponents:\n  c: { type: redis, policy: none, tier: P7 }\n';
    const lines = problemsOf(text).map((line) => /:(\d+):/.exec(line)?.[1]);
    expect(lines).toEqual(['1', '2', '4', '4']);
  });

  test('is refused when it is empty, or no map', () => {
    expect(problemsOf('')).toEqual(['lifeboat.yaml:1:1: the file is empty, expected a map of keys']);
    expect(problemsOf('- a\n')).toEqual(['lifeboat.yaml:1:1: found a list, expected a map of keys']);
  });

  test('needs at least one repository', () => {
    expect(problemsOf('application: a\nrepositories: {}\ncomponents: {}')).toEqual([
      'lifeboat.yaml:2:15: repositories: found no repository, expected at least one',
    ]);
  });

  test('may not blow up memory or stack by aliases and nesting', () => {
    const bomb = Array.from(
      { length: 9 },
      (_, at) =>
        `x${at}: &a${at} [${Array(9)
          .fill(at === 0 ? 'y' : `*a${at - 1}`)
          .join(',')}]`,
    ).join('\n');
    expect(problemsOf(bomb).join('\n')).toContain('expected a smaller file');
    expect(problemsOf(`x: ${'['.repeat(100_000)}`).join('\n')).toContain('nested deeper');
    expect(problemsOf(`x: ${'['.repeat(80)}1${']'.repeat(80)}`).join('\n')).toContain('expected a smaller file');
    expect(problemsOf('x: &a [*a]').join('\n')).toContain('lifeboat.yaml:1:');
  });
});

/** How many secrets stand behind a key that tells them apart. */
function marks(text: string): number | undefined {
  return text.match(/\b(?:password: '?|url: "postgres:\/\/me:|accessKeyId: ")S3CRET/g)?.length;
}

test('no secret is printed, however the file is damaged', () => {
  const secrets = ['S3CRET-from-variable', 'S3CRET-in-file', 'S3CRET-in-url'];
  const text = `application: shop
repositories:
  local:
    location: \${PLANTED}/x
    password: S3CRET-in-file
    s3: { accessKeyId: "S3CRET-in-file", region: "\${PLANTED}" }
components:
  db: { type: postgres, url: "postgres://me:S3CRET-in-url@db/shop", host: db }
  cache:
    type: redis
    password: 'S3CRET-in-file'
    port: \${PLANTED}
    tier: \${PLANTED}
  files: { type: files, paths: ["\${PLANTED}"], excludeCaches: "\${PLANTED}" }
`;
  const damage = Array.from(':"\'{}[]\t*&!%@#\\$,|').concat('\n', '  ', '- ', '${');
  const place = fc.nat({ max: text.length - 1 });
  fc.assert(
    fc.property(fc.tuple(place, place), fc.constantFrom(...damage), fc.nat({ max: 4 }), (places, piece, cut) => {
      let damaged = text;
      for (const at of places) damaged = damaged.slice(0, at) + piece + damaged.slice(at + cut);
      // A secret whose key was destroyed is no longer known to be one; its key and quotes must be whole.
      fc.pre(marks(damaged) === marks(text));
      const message = problemsOf(damaged, { PLANTED: secrets[0] ?? '' }).join('\n');
      const shown = secrets.filter((secret) => message.includes(secret));
      expect(shown, `${damaged}\n${message}`).toEqual([]);
    }),
    { numRuns: 1000 },
  );
}, 120_000);

function noFile(variables: Record<string, string>, repositoryLocation?: string): Promise<Configuration> {
  return loadConfiguration({ path: undefined, environment: environmentOf(variables), repositoryLocation });
}

describe('the classic environment variables', () => {
  const classic = {
    POSTGRES_HOST: 'postgres',
    POSTGRES_PORT: '5433',
    POSTGRES_DB: 'crm_dev',
    POSTGRES_USER: 'crm',
    POSTGRES_PASSWORD: 'pw',
    REDIS_HOST: 'redis',
    REDIS_PORT: '6380',
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_DEFAULT_REGION: 'eu-central-1',
    S3_BACKUP_BUCKET: 'backups',
    S3_PREFIX: '/crm/',
  };

  test('fill in a database and a cache whose host the file leaves open (S1-12, S1-13)', () => {
    const { components } = parse(
      `${head}components: { db: { type: postgres }, cache: { type: redis } }`,
      classic,
    ).application;
    expect(components).toMatchObject([
      { host: 'postgres', port: 5433, user: 'crm', password: 'pw', databases: ['crm_dev'] },
      { host: 'redis', port: 6380 },
    ]);
  });

  test('name the repository of a file that names none, and of no other', () => {
    const components = 'components: { cache: { type: redis } }';
    for (const repositories of ['', 'repositories:\n', 'repositories: {}\n'])
      expect(parse(`application: shop\n${repositories}${components}`, classic).application).toMatchObject({
        repositories: [{ name: 's3', location: 's3://backups/crm' }],
        components: [{ policy: { targets: [{ repository: 's3' }] } }],
      });
    expect(parse(`${head}${components}`, classic).application.repositories).toHaveLength(1);
    expect(problemsOf(`application: shop\n${components}`).join('')).toContain('S3_BACKUP_BUCKET');
  });

  test('stand in for each key that the file leaves out, and for none that it gives', () => {
    const text = `${head}components:
  named: { type: postgres, host: other }
  whole: { type: postgres, host: other, port: 1, user: me, password: own, databases: [mine] }
  cache: { type: redis, host: other }
  url: { type: postgres, url: 'postgres://other/shop' }`;
    const variables = {
      ...classic,
      REDIS_PASSWORD: 'red',
      PGUSER: 'lib',
      PGPASSWORD: 'lib',
      DATABASE_URL: 'postgres://x/y',
    };
    expect(parse(text, variables).application.components).toMatchObject([
      { host: 'other', port: 5433, user: 'crm', password: 'pw', databases: ['crm_dev'] },
      { host: 'other', port: 1, user: 'me', password: 'own', databases: ['mine'] },
      { host: 'other', port: 6380, password: 'red' },
      { url: 'postgres://other/shop', password: 'lib' },
    ]);
    expect(parse(text, variables).application.components[3]).not.toHaveProperty('user');
  });

  test("go before libpq's, which go before the defaults", () => {
    const lib = { PGHOST: 'lib', PGPORT: '7', PGUSER: 'lib', PGPASSWORD: 'libpw', PGDATABASE: 'one' };
    const text = `${head}components: { db: { type: postgres } }`;
    const [fromLib] = parse(text, lib).application.components;
    expect(fromLib).toMatchObject({ host: 'lib', port: 7, user: 'lib', password: 'libpw' });
    expect(fromLib).not.toHaveProperty('databases', ['one']);
    expect(parse(text, { ...lib, ...classic }).application.components).toMatchObject([
      { host: 'postgres', port: 5433, user: 'crm', password: 'pw' },
    ]);
    const url = { ...lib, DATABASE_URL: 'postgres://me@db/kessan' };
    expect(parse(text, url).application.components).toMatchObject([{ url: url.DATABASE_URL, password: 'libpw' }]);
    expect(problemsOf(text, { PGPORT: 'x' })[0]).toContain('environment variable PGPORT');
  });

  test('of a whole url give way to what the file says', () => {
    const text = `${head}components: { db: { type: postgres, user: 'm@e', password: own }, cache: { type: redis, port: 7 } }`;
    const variables = { DATABASE_URL: 'postgres://app:pw@db:5433/kessan', REDIS_URL: 'redis://:secret@cache' };
    expect(parse(text, variables).application.components).toMatchObject([
      { url: 'postgres://m%40e:own@db:5433/kessan' },
      { url: 'redis://:secret@cache:7' },
    ]);
  });

  test('give a repository its place and its keys (S1-14, S1-15)', () => {
    const { repositories } = parse(
      'application: a\nrepositories: { offsite: {} }\ncomponents: {}',
      classic,
    ).application;
    expect(repositories[0]).toMatchObject({
      location: 's3://backups/crm',
      s3: { accessKeyId: 'key', secretAccessKey: 'secret', region: 'eu-central-1', pathStyle: false },
    });
  });

  test('never mix a key of the file with a secret of the environment', () => {
    const text =
      'application: a\nrepositories: { o: { location: s3://bucket, s3: { accessKeyId: mine, secretAccessKey: own } } }\ncomponents: {}';
    const { repositories } = parse(text, { ...classic, AWS_SESSION_TOKEN: 'token' }).application;
    expect(repositories[0]?.s3).toMatchObject({ accessKeyId: 'mine', secretAccessKey: 'own' });
    expect(repositories[0]?.s3?.sessionToken).toBeUndefined();
  });

  test('are enough without any file', async () => {
    const { application, path } = await noFile(classic, '/srv/backups');
    expect(path).toBeUndefined();
    expect(application).toMatchObject({
      name: 'crm_dev',
      repositories: [
        { name: 'local', location: '/srv/backups' },
        { name: 's3', location: 's3://backups/crm' },
      ],
      components: [
        { name: 'postgres', host: 'postgres', tier: 'P0' },
        { name: 'redis', host: 'redis' },
      ],
    });
  });

  test('work as DATABASE_URL and BACKUP_S3_BUCKET too (S3-39)', async () => {
    const { application } = await noFile({ DATABASE_URL: 'postgres://me:pw@db/kessan', BACKUP_S3_BUCKET: 'kessan' });
    expect(application).toMatchObject({
      repositories: [{ location: 's3://kessan' }],
      components: [{ name: 'postgres', url: 'postgres://me:pw@db/kessan' }],
    });
  });

  test('are named, not shown, when they hold no port', () => {
    const [problem] = problemsOf(`${head}components: { db: { type: postgres } }`, { POSTGRES_PORT: 'hidden' });
    const words = 'environment variable POSTGRES_PORT: found a value (not shown), expected a port from 1 to 65535';
    expect(problem).toBe(`lifeboat.yaml: components.db: ${words}`);
  });

  test('without file and variables there is nothing to go by', async () => {
    await expect(noFile({ REDIS_HOST: 'redis' })).rejects.toMatchObject({ code: 'CONFIG_MISSING' });
  });
});

test('a file that is a folder, too large or nowhere is refused by name, with what helps', async () => {
  await using folder = await temporaryFolder();
  const asFolder = join(folder.path, 'a.yaml');
  const large = join(folder.path, 'b.yaml');
  await mkdir(asFolder);
  await writeFile(large, ' '.repeat((1 << 20) + 1));
  const load = (path: string) => loadConfiguration({ path, environment: environmentOf({}, folder.path) });
  await expect(load(asFolder)).rejects.toMatchObject({ code: 'CONFIG_MISSING' });
  await expect(load(`${asFolder}x`)).rejects.toMatchObject({ hint: 'Name a file that is there.' });
  await expect(load(large)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
