// hasteCRM's verification, level by level: what a look at sizes and archives can't tell, a proof does.
import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { cpSync, globSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusData } from '../../src/cli/commands/status.ts';
import type { Fingerprint } from '../../src/model/fingerprint.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { openRepository } from '../../src/repository/open-repository.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import type { Source } from '../../src/sources/source.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { postgresMajor, secrets, startExample, type ExampleApplication } from '../support/example-application.ts';
import type { Ran } from '../support/lifeboat.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { recordBackup } from '../support/recorded-backup.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
let crm: ExampleApplication;
let copies = 0;

/** A copy of the local repository, damaged; `damage` gets the path of a file and tells it to be the one. */
async function verifyDamaged(
  files: string,
  damage: (path: string) => void,
  ...args: string[]
): Promise<Ran & { file: string }> {
  copies += 1;
  const folder = join(crm.root, `damaged-${copies}`);
  cpSync(join(crm.folder, 'backups'), folder, { recursive: true });
  const [path] = globSync(join(folder, files)).toSorted();
  expect(path).toBeDefined();
  damage(path ?? '');
  const ran = await crm.run(['verify', '--repository', folder, ...args]);
  return { ...ran, file: basename(path ?? '').slice(0, 8) };
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  writeFileSync(path, bytes, { mode: 0o600 });
}

/** A backup whose data is of now, and whose fingerprint is of before: what a restore that lies would amount to. */
async function backUpWith(real: Source, component: string, fingerprint: Fingerprint): Promise<string> {
  const source: Source = {
    ...real,
    async open(openSignal) {
      const session = await real.open(openSignal);
      return {
        paths: session.paths,
        problems: session.problems,
        entries: (walkSignal) => session.entries(walkSignal),
        facts: (factsSignal) => session.facts(factsSignal),
        fingerprint: async () => fingerprint,
        [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
      };
    },
  };
  await using store = localStore(join(crm.folder, 'backups'));
  const repository = await openRepository(store, { password: secrets.repository, signal });
  const { snapshot } = await backup(repository, source, {
    host: 'hastecrm',
    component,
    programVersion: 'test',
    signal,
  });
  return snapshot.id;
}

function define(): void {
  beforeAll(async () => {
    crm = await startExample({ name: 'hastecrm', database: 'crm_dev' });
    await crm.succeed('repository', 'init', '--repository', 'local');
    await crm.succeed('repository', 'init', '--repository', 'offsite', '--from', 'local', '--create-bucket');
    await crm.cheapenKeys();
    await crm.succeed('backup', '--repository', 'local');
    await crm.succeed('copy', '--to', 'offsite');
  });
  afterAll(() => crm[Symbol.asyncDispose]());

  test('S1-33 SF-21 a file that is gone or empty is found by its name', async () => {
    const gone = await verifyDamaged('data/*/*', (path) => rmSync(path));
    expect(gone).toMatchObject({ exitCode: 20 });
    expect(gone.stdout).toContain(gone.file);
    const empty = await verifyDamaged('data/*/*', (path) => truncateSync(path, 0));
    expect(empty).toMatchObject({ exitCode: 20 });
    expect(empty.stdout).toContain(empty.file);
  });

  test('S1-34 S1-36 SF-21 one flipped bit in a file of the right size is found by reading the data', async () => {
    const intact = await verifyDamaged('config', () => undefined, '--read-data');
    expect(intact).toMatchObject({ exitCode: 0 });
    for (const files of ['data/*/*', 'index/*', 'snapshots/*']) {
      const flipped = await verifyDamaged(files, flip, '--read-data');
      expect(flipped).toMatchObject({ exitCode: 20 });
      expect(flipped.stdout).toContain(flipped.file);
    }
  });

  test('SF-21 snapshots whose index is lost are found by the structure alone', async () => {
    const ran = await verifyDamaged('index/*', (path) => rmSync(path));
    expect(ran).toMatchObject({ exitCode: 20 });
  });

  test('S1-35 S1-37 an upload is confirmed by the listing and by reading it back; one object less is found', async () => {
    const client = crm.s3.inspector();
    const list = { Bucket: 'hastecrm-backups', Prefix: 'hastecrm-backups/' };
    const { Contents = [] } = await client.send(new ListObjectsV2Command(list));
    const stats = await crm.json<{ storeFiles: number; storeBytes: number }>(
      'repository',
      'stats',
      '--repository',
      'offsite',
    );
    expect(stats.storeFiles).toBe(Contents.length);
    expect(stats.storeBytes).toBe(Contents.reduce((sum, { Size = 0 }) => sum + Size, 0));
    const intact = await crm.succeed('verify', '--repository', 'offsite', '--read-data');
    expect(intact.stdout).toMatch(/intact[^]*2 snapshots[^]*read \d/);
    const Key = Contents.find((object) => object.Key?.includes('/data/'))?.Key ?? '';
    await client.send(new DeleteObjectCommand({ Bucket: list.Bucket, Key }));
    client.destroy();
    const damaged = await crm.run(['verify', '--repository', 'offsite']);
    expect(damaged).toMatchObject({ exitCode: 20 });
    expect(damaged.stdout).toContain(basename(Key).slice(0, 8));
  });

  test('S1-36 SF-21 proofs of the database and the cache pass, and latest-proven then names them', async () => {
    expect(await crm.run(['restore', 'database', '--from', 'latest-proven', '--to', 'crm_proven'])).toMatchObject({
      exitCode: 4,
    });
    const ran = await crm.succeed('prove');
    expect(ran.stdout).toMatch(/^passed {2}database[^]*SELECT count\(\*\) FROM contacts: 20000[^]*passed {2}cache/);
    await crm.succeed('restore', 'database', '--from', 'latest-proven', '--to', 'crm_proven', '--repository', 'local');
    expect(globSync(join(crm.environment['TMPDIR'] ?? '', 'lifeboat-*'))).toEqual([]);
  });

  test('S1-44 what these restores took is held against the hour that was promised', async () => {
    const rtos = async (...args: string[]): Promise<unknown> => {
      const ran = await crm.run(['status', '--json', ...args]);
      const { components } = JSON.parse(ran.stdout) as StatusData;
      return [ran.exitCode, ...components.map(({ rtoMs, rto }) => [rtoMs, rto])];
    };
    expect(await rtos()).toEqual([0, [3_600_000, 'met'], [3_600_000, 'met']]);
    const text = readFileSync(join(crm.folder, 'lifeboat.yaml'), 'utf8');
    writeFileSync(join(crm.folder, 'hasty.yaml'), text.replaceAll('rto: 1h', 'rto: 1ms'));
    expect(await rtos('--config', 'hasty.yaml')).toEqual([31, [1, 'breached'], [1, 'breached']]);
  });

  test('SF-21 one row lost, changed or added between backup and restore fails the proof', async () => {
    const { postgres } = crm;
    const source = postgresSource(postgres.options({ databases: ['crm_dev'] }));
    for (const [statement, rowsExpected, rowsFound] of [
      ['UPDATE deals SET amount = amount + 0.01 WHERE id = 7', 2_000, 2_000],
      ['DELETE FROM deals WHERE id = 7', 2_000, 1_999],
      ["INSERT INTO deals OVERRIDING SYSTEM VALUE VALUES (7, 1, 'won', 1)", 1_999, 2_000],
    ] as const) {
      const { recordedFingerprint } = await recordBackup(source, { signal });
      await postgres.sql('crm_dev', statement);
      const id = await backUpWith(source, 'database', recordedFingerprint);
      const ran = await crm.run(['prove', 'database', '--from', id, '--repository', 'local', '--json']);
      expect(ran).toMatchObject({ exitCode: 20 });
      expect(JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
        proofs: [{ outcome: 'failed', differences: [{ name: 'crm_dev.public.deals', rowsExpected, rowsFound }] }],
      });
    }
  });

  test('SF-21 one key of Redis changed between backup and restore fails the proof', async () => {
    const source = redisSource(crm.redis.address);
    const { recordedFingerprint } = await recordBackup(source, { signal });
    await crm.redis.connection.call('HSET', 'session:1', 'role', 'admin');
    const id = await backUpWith(source, 'cache', recordedFingerprint);
    const ran = await crm.run(['prove', 'cache', '--from', id, '--repository', 'local']);
    expect(ran).toMatchObject({ exitCode: 20 });
    expect(ran.stdout).toMatch(/^failed {2}cache/);
  });

  test("SF-21 data that came back as it was, but not as the application needs it, fails by the application's own check", async () => {
    await crm.postgres.sql('crm_dev', 'TRUNCATE contacts');
    await crm.succeed('backup', 'database', '--repository', 'local');
    const ran = await crm.run(['prove', 'database', '--repository', 'local']);
    expect(ran).toMatchObject({ exitCode: 20 });
    expect(ran.stdout).toMatch(/the check 'SELECT count\(\*\) FROM contacts' found 0/);
  });
}

await describeWithS3('hasteCRM verified', () =>
  describeWith(['redis-server', 'pg_dump'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
