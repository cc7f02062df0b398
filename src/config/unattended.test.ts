import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { unattendedStart } from './unattended.ts';

test('only what systemd takes from the file is there, and what is empty is not', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lifeboat.yaml');
  const environmentFile = join(folder.path, 'shop.env');
  const component = "{ type: postgres, host: db, user: '${DB_USER}', password: '${DB_PASSWORD}' }";
  await writeFile(path, `application: shop\nrepositories: { a: { location: /a } }\ncomponents: { db: ${component} }\n`);
  const shell = {
    DB_USER: 'app',
    DB_PASSWORD: 'planted',
    AWS_PROFILE: 'backups',
    AWS_REGION: '',
    PGPORT: '5433',
    PGOPTIONS: 'x',
  };
  const environment = { variables: shell, workingFolder: folder.path, homeFolder: folder.path };
  const start = async (text: string) => {
    await writeFile(environmentFile, text);
    return unattendedStart(path, { environmentFile, environment });
  };
  const bad = await start('DB_USER=app\nexport DB_PASSWORD=planted\n export PGPORT=1\nAWS_PROFILE=\n');
  expect([...(bad.variables ?? [])]).toEqual(['DB_USER']);
  expect(bad.lacking).toEqual([
    expect.stringMatching(/components\.db\.password: found \$\{DB_PASSWORD\}, which is not set/),
    'PGPORT is set here, and will not be set there',
  ]);
  expect(bad.lacking.join()).not.toContain('planted');
  expect((await start('DB_USER=app\nDB_PASSWORD=x\nPGPORT=1\n')).lacking).toEqual([]);
});

const shell = {
  AWS_ACCESS_KEY_ID: 'key',
  AWS_SECRET_ACCESS_KEY: 'planted',
  AWS_PROFILE: 'backups',
  AWS_REGION: 'eu-central-1',
  AZURE_CLIENT_ID: 'x',
  GOOGLE_PROJECT: 'x',
  LIFEBOAT_CACHE: '/cache',
  PATH: '/bin',
  PGDATABASE: 'shop',
  PGHOST: 'db',
  PGPASSWORD: 'planted',
  PGSSLMODE: 'require',
  POSTGRES_PASSWORD: 'planted',
  SHELL: '/bin/sh',
  UNRELATED: 'x',
};
const local = '{ location: /a }';
const files = '{ type: files, paths: [/srv] }';
const bucket = (more: string): string => `{ location: 's3://bucket/x', s3: { ${more} } }`;

/** Without the words that all have. */
async function forgottenFor(repository: string, component: string, variables = shell): Promise<readonly string[]> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lifeboat.yaml');
  await writeFile(path, `application: shop\nrepositories: { a: ${repository} }\ncomponents: { it: ${component} }\n`);
  const environment = { variables, workingFolder: folder.path, homeFolder: folder.path };
  const { lacking } = await unattendedStart(path, { environmentFile: join(folder.path, 'none'), environment });
  return lacking.map((sentence) => sentence.replace(' is set here, and will not be set there', ''));
}

test('variables of a store or a server that the file has not, or says by itself, are not missed', async () => {
  expect(await forgottenFor(local, files)).toEqual(['LIFEBOAT_CACHE']);
  const pair = 'accessKeyId: a, secretAccessKey: b';
  expect(await forgottenFor(bucket(`${pair}, region: r`), files)).toEqual(['LIFEBOAT_CACHE']);
  expect(await forgottenFor(bucket(pair), files)).toEqual(['AWS_REGION', 'LIFEBOAT_CACHE']);
  const own =
    "{ type: postgres, host: db, port: 5432, user: app, password: '${POSTGRES_PASSWORD:-none}', sslmode: disable }";
  expect(await forgottenFor(local, own)).toEqual(['LIFEBOAT_CACHE', 'POSTGRES_PASSWORD']);
});

test('those that count are: the key or else the profile, and of two names of one setting the one that is read', async () => {
  const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
  expect(await forgottenFor(bucket('region: r'), files)).toEqual([...keys, 'LIFEBOAT_CACHE']);
  const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...without } = shell;
  expect(await forgottenFor(bucket('region: r'), files, without as typeof shell)).toEqual([
    'AWS_PROFILE',
    'AWS_REGION',
    'LIFEBOAT_CACHE',
  ]);
  const server = ['LIFEBOAT_CACHE', 'PGHOST', 'PGSSLMODE', 'POSTGRES_PASSWORD'];
  expect(await forgottenFor(local, '{ type: postgres }')).toEqual(server);
});
