import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder, type TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { messageOf } from '../base/errors.ts';
import { templateOf } from './extended.ts';
import { loadConfiguration, type Configuration } from './load.ts';
import { configuredNames } from './names.ts';

const template = `application: lecture-\${CUSTOMER}
parameters: { REGION: eu, BUCKET: 'content-\${CUSTOMER}', PORT: 5432 }
repositories: { local: { location: './backups/\${CUSTOMER}' } }
policies:
  often: { schedule: { every: 5m }, retention: { keepDaily: 7 } }
components:
  database: { type: postgres, url: '\${DATABASE_URL}', policy: often, objectives: { rpo: 15m, rto: 2h } }
  storage: { type: files, paths: ['/srv/\${BUCKET}', '/srv/\${REGION}'], policy: often }
`;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
  await put('template.yaml', template);
});
afterEach(() => folder[Symbol.asyncDispose]());

async function put(name: string, text: string): Promise<void> {
  const path = join(folder.path, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

const place = 'customers/acme.yaml';

async function load(text: string, variables: Record<string, string> = {}): Promise<Configuration> {
  await put(place, text);
  const environment = { variables, workingFolder: folder.path, homeFolder: '/home/me' };
  return loadConfiguration({ path: join(folder.path, place), environment });
}

async function faultOf(text: string, variables: Record<string, string> = {}): Promise<string> {
  return load(text, variables).then(() => 'none', messageOf);
}

const acme = `extends: ../template.yaml\nparameters: { CUSTOMER: acme, DATABASE_URL: '\${ACME_URL}' }\n`;
const url = 'postgres://app:secret@db/acme';

describe('a file that extends a template', () => {
  test('is the template with its parameters filled in, its paths counted from the file', async () => {
    const { application, template: read } = await load(acme, { ACME_URL: url, CUSTOMER: 'other', REGION: 'us' });
    expect(application.name).toBe('lecture-acme');
    expect(application.repositories[0]?.location).toBe(join(folder.path, 'customers/backups/acme'));
    const [database, storage] = application.components;
    expect(database).toMatchObject({
      url,
      objectives: { rpoMs: 900_000 },
      policy: { schedules: [{ everyMs: 300_000 }] },
    });
    expect(storage).toMatchObject({ paths: ['/srv/content-acme', '/srv/eu'] });
    expect(read).toEqual({ path: join(folder.path, 'template.yaml'), text: template });
  });

  test('lays its own keys over those of the template: maps key by key, all else whole', async () => {
    const own = `components:
  database: { objectives: { rto: 30m } }
  storage: { paths: ['/data/\${CUSTOMER}'] }
  logs: { type: files, paths: [/var/log] }
policies:
`;
    const { application } = await load(acme + own, { ACME_URL: url });
    expect(application.components).toMatchObject([
      { name: 'database', type: 'postgres', objectives: { rpoMs: 900_000, rtoMs: 1_800_000 } },
      { name: 'storage', paths: ['/data/acme'], policy: { schedules: [{ everyMs: 300_000 }] } },
      { name: 'logs', paths: ['/var/log'] },
    ]);
  });

  test('takes away with null what the template says, a value or all below it, and leaves it with nothing', async () => {
    const own = `components:
  database: { url: null, host: db, objectives: { rto: ~ } }
  storage: null
policies:
  often: { retention: }
`;
    const { application, unreachable } = await load(acme + own);
    expect(application.components).toMatchObject([{ name: 'database', host: 'db', objectives: { rpoMs: 900_000 } }]);
    expect(application.components[0]).not.toMatchObject({ url: expect.anything() });
    expect(application.components[0]?.objectives).not.toHaveProperty('rtoMs', expect.anything());
    expect(application.components[0]?.policy.targets).toMatchObject([{ retention: { keepDaily: 7 } }]);
    // It asks for nothing that only what was taken away refers to.
    expect([...unreachable]).toEqual([]);
  });

  test('refuses to take away what is not there, or what something else needs', async () => {
    expect(await faultOf(`${acme}components: { storge: null }\n`, { ACME_URL: url })).toBe(
      'customers/acme.yaml:3:15: components.storge: found null, which takes away what a template says, expected a key that is in template.yaml',
    );
    expect(await faultOf(`${acme}policies: { often: null }\n`, { ACME_URL: url })).toContain("'often'");
    expect(await faultOf(`${acme}application: null\n`, { ACME_URL: url })).toMatch(/application/);
  });

  test('takes numbers as they are written, and a value of text where a number is wanted', async () => {
    await put('template.yaml', `${template}  cache: { type: redis, host: 'c-\${NODE}', port: '\${PORT}' }\n`);
    const given = `extends: ../template.yaml\nparameters: { CUSTOMER: acme, NODE: 0815, PORT: 6380, DATABASE_URL: x }\n`;
    const { application } = await load(given);
    expect(application.components[2]).toMatchObject({ host: 'c-0815', port: 6380 });
  });

  test('hides a variable of the environment by a parameter without a value, which takes the default', async () => {
    await put('template.yaml', template.replace("'${DATABASE_URL}'", "'${DATABASE_URL:-postgres://fallback/x}'"));
    const text = `extends: ../template.yaml\nparameters: { CUSTOMER: acme, DATABASE_URL: }\n`;
    const { application } = await load(text, { DATABASE_URL: 'postgres://of-another-customer/x' });
    expect(application.components[0]).toMatchObject({ url: 'postgres://fallback/x' });
  });

  test('never falls back where a parameter refers to what is not set: it would be the data of somebody else', async () => {
    await put('template.yaml', template.replace("'${DATABASE_URL}'", "'${DB:-postgres://fallback/x}'"));
    const given = acme.replace('DATABASE_URL', 'DB');
    const { application, unreachable } = await load(given, { DB: 'postgres://of-another-customer/x' });
    expect(application.components[0]).toMatchObject({ url: undefined });
    expect(messageOf(unreachable.get('database'))).toBe(
      'customers/acme.yaml has 1 problem\n  template.yaml:7:36: components.database.url: found ${DB}, given at customers/acme.yaml:2:35 as ${ACME_URL}, which is not set, expected the environment variable ACME_URL, or ${ACME_URL:-default}',
    );
  });

  test('never shows through what it says itself with a reference that is not set', async () => {
    const own = "components: { database: { url: '${OWN_URL}' } }\n";
    const { application, unreachable } = await load(acme + own, { ACME_URL: url });
    expect(application.components[0]).toMatchObject({ url: undefined });
    expect(messageOf(unreachable.get('database'))).toMatch(/^customers\/acme\.yaml:3:32: .*OWN_URL/);
  });

  test('does not ask for what it replaces', async () => {
    const own = `components: { database: { url: '${url}' } }\n`;
    const { application } = await load(`extends: ../template.yaml\nparameters: { CUSTOMER: acme }\n${own}`);
    expect(application.components[0]).toMatchObject({ url });
  });

  test('completes names of both files', async () => {
    await put(place, `${acme}components: { logs: { type: files, paths: [/var/log] } }\n`);
    const environment = { variables: {}, workingFolder: folder.path, homeFolder: '/home/me' };
    const { components } = await configuredNames(['--config', place], environment);
    expect(components).toEqual(['database', 'storage', 'logs']);
  });
});

describe('what is wrong is told with the file and the line where it stands', () => {
  test('in the template, in the file, and a parameter that is missing', async () => {
    await put('template.yaml', template.replace('keepDaily: 7', 'keepDaily: no').replace('type: files', 'typ: files'));
    const message = await faultOf(`extends: ../template.yaml\ncomponents: { database: { tier: P9 } }\n`);
    expect(message.split('\n')).toEqual([
      'customers/acme.yaml has 7 problems',
      expect.stringMatching(/^ {2}customers\/acme\.yaml:2:33: components\.database\.tier: found 'P9', expected /),
      expect.stringMatching(
        /^ {2}template\.yaml:1:14: application: found \$\{CUSTOMER\}, which is not set, expected the parameter or environment variable CUSTOMER/,
      ),
      expect.stringMatching(/^ {2}template\.yaml:3:36: repositories\.local\.location: found \$\{CUSTOMER\}/),
      expect.stringMatching(/^ {2}template\.yaml:5:61: policies\.often\.retention\.keepDaily: found 'no', expected/),
      expect.stringMatching(/^ {2}template\.yaml:7:36: components\.database\.url: found \$\{DATABASE_URL\}, which is/),
      expect.stringMatching(/^ {2}template\.yaml:8:14: components\.storage: unknown key 'typ'; did you mean 'type'/),
      expect.stringMatching(
        /^ {2}template\.yaml:8:34: components\.storage\.paths\.0: found \$\{BUCKET\}, given at template\.yaml:2:35 as \$\{CUSTOMER\}, which/,
      ),
    ]);
  });

  test('a parameter that nobody uses, with what may have been meant', async () => {
    const text = `extends: ../template.yaml\nparameters: { CUSTOMER: acme, DATABSE_URL: x, DATABASE_URL: y }\n`;
    expect(await faultOf(text)).toMatch(
      /^customers\/acme\.yaml:2:31: parameters: found 'DATABSE_URL', which template\.yaml never uses, expected REGION, BUCKET or PORT$/,
    );
    const wrong = `extends: ../template.yaml\nparameters: { CUSTOMR: acme, DATABASE_URL: y }\n`;
    expect(await faultOf(wrong, { CUSTOMER: 'x' })).toMatch(/found 'CUSTOMR'.*did you mean 'CUSTOMER'\?$/);
  });

  test('a template that is not there, that extends another, that is no map, that is given by reference or from the root', async () => {
    const faults = async (extended: string): Promise<string> => faultOf(`extends: ${extended}\n`);
    expect(await faults('../templat.yaml')).toBe(
      'customers/acme.yaml:1:10: extends: found templat.yaml, which cannot be read (ENOENT), expected a file that can be read',
    );
    await put('second.yaml', `extends: template.yaml\n`);
    expect(await faults('../second.yaml')).toBe(
      'customers/acme.yaml has 1 problem\n  second.yaml:1:1: extends: found extends in a template, expected none: a template extends nothing',
    );
    expect(await faults('acme.yaml')).toMatch(/a template extends nothing$/);
    await put('list.yaml', `- application\n`);
    expect(await faults('../list.yaml')).toMatch(/list\.yaml:1:1: found no keys/);
    await put('broken.yaml', 'application: x\npolicies: {\n');
    expect(await faults('../broken.yaml')).toMatch(/\n {2}broken\.yaml:\d+:/);
    expect(await faults('a'.repeat(3000))).toMatch(
      /^customers\/acme\.yaml:1:10: extends: found .{61}, which cannot be read/,
    );
    expect(await faults("'${HOME}/x.yaml'")).toMatch(/found a reference, expected a path relative to this file/);
    expect(await faults('/etc/template.yaml')).toMatch(/expected a path relative to this file$/);
    expect(await faults('[a]')).toMatch(/extends: found a list, expected the path of a template/);
  });

  test('no value of a parameter is shown, wherever it is wrong', async () => {
    const secret = 'hunter2-hunter2';
    await put('template.yaml', `${template}  cache: { type: redis, port: '\${CACHE}', tier: '\${CACHE}' }\n`);
    const texts = [
      `extends: ../template.yaml\nparameters: { CUSTOMER: a, DATABASE_URL: x, CACHE: ${secret} }\n`,
      `extends: ../template.yaml\nparameters: { CUSTOMER: a, DATABASE_URL: x, CACHE: '\${SECRET}' }\n`,
      `extends: ../template.yaml\nparameters: { CUSTOMER: a, DATABASE_URL: x, CACHE: [${secret}] }\n`,
      `extends: ../template.yaml\nparameters: { CUSTOMER: a, DATABASE_URL: x, 'CACHE:${secret}': }\n`,
      `extends: ../template.yaml\nparameters: { CUSTOMER: a, DATABASE_URL: x, 'CACHE:${secret}': [a] }\n`,
      `extends: ../template.yaml\nparameters:\n  CUSTOMER: a\n  CACHE:${secret}:\n    - a\n`,
      `extends: ../template.yaml\nparameters: ${secret}\n`,
    ];
    for (const text of texts) {
      const message = await faultOf(text, { SECRET: secret });
      expect(message).not.toBe('none');
      expect(message).not.toContain(secret);
    }
  });
});

test('parameters work without a template, as what a template alone shows', async () => {
  const text = template.replace('REGION: eu', "REGION: eu, CUSTOMER: acme, DATABASE_URL: '${ACME_URL}'");
  const { application, template: extended } = await load(text.replace("'content-${CUSTOMER}'", 'content'), {
    ACME_URL: url,
  });
  expect(application.name).toBe('lecture-acme');
  expect(application.components).toMatchObject([{ url }, { paths: ['/srv/content', '/srv/eu'] }]);
  expect(extended).toBeUndefined();
});

test('templateOf follows what loading follows', () => {
  expect(templateOf('extends: ../t.yaml\n', '/srv/c/a.yaml')).toBe('/srv/t.yaml');
  expect(templateOf('application: x # extends: y\n', '/srv/c/a.yaml')).toBeUndefined();
  expect(templateOf('extends: ~/t.yaml\n', '/srv/c/a.yaml')).toBeUndefined();
  expect(templateOf('extends: [t.yaml]\n', '/srv/c/a.yaml')).toBeUndefined();
});

test('any two files end as one configuration or as an error that shows no secret', async () => {
  const pieces = fc.constantFrom(
    'extends: ../template.yaml\n',
    'extends: &x ../template.yaml\n',
    'parameters: {CUSTOMER: zq9zq9}\n',
    'parameters: [a]\n',
    'parameters: {A: *x}\n',
    'parameters:\n',
    'application: ${A}\n',
    'components: {database: {url: zq9zq9}}\n',
    'components: [1]\n',
    'policies: {often: {schedule: []}}\n',
    '  x: y\n',
    '- a\n',
    '? {a: b}\n: c\n',
    '...\n---\n',
  );
  const texts = fc.array(pieces, { maxLength: 6 }).map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(texts, texts, async (own, above) => {
      await put('template.yaml', above);
      await put(place, own);
      const environment = { variables: { A: 'zq9zq9' }, workingFolder: folder.path, homeFolder: '/home/me' };
      const path = join(folder.path, place);
      const outcome = await loadConfiguration({ path, environment }).then(() => 'read', messageOf);
      expect(outcome).not.toMatch(/defect|undefined|zq9zq9/);
    }),
    { numRuns: 60 },
  );
});
