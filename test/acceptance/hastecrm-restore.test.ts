// hasteCRM's recoveries, as its own document describes them, and the mistakes of that document avoided: a database dropped
// before its backup is known to be good, a failed restore that ends with 0, an append-only file that wins over the dump.
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  contentOf,
  postgresMajor,
  secrets,
  startExample,
  type ExampleApplication,
} from '../support/example-application.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

let crm: ExampleApplication;
let redisFolder: TemporaryFolder;
const redisSettings = (): string[] => ['appendonly yes', `dir "${redisFolder.path}"`];

async function tables(database: string): Promise<unknown> {
  const names = ['companies', 'contacts', 'deals', '_prisma_migrations'];
  return Promise.all(names.map((name) => contentOf(crm.postgres, database, name)));
}

async function databases(): Promise<string[]> {
  const rows = await crm.postgres.sql(
    'postgres',
    "SELECT datname FROM pg_database WHERE datname LIKE 'crm%' ORDER BY 1",
  );
  return rows.map(({ datname }) => String(datname));
}

async function keys({ connection }: Pick<TestRedis, 'connection'>): Promise<string[]> {
  const names = (await connection.call('KEYS', '*')) as Buffer[];
  return names.map(String).toSorted();
}

const fixtureKeys = ['feature:dark-mode', 'leaderboard', 'online', 'queue:mail', 'rate:17', 'session:1', 'session:2'];

/** One story: the backups of its beginning, then one disaster after the other. */
function define(): void {
  let original: unknown;
  let betweenBackups = '';

  beforeAll(async () => {
    redisFolder = await temporaryFolder();
    crm = await startExample({ name: 'hastecrm', database: 'crm_dev', redisSettings: redisSettings() });
    await crm.succeed('repository', 'init', '--repository', 'local');
    await crm.succeed('repository', 'init', '--repository', 'offsite', '--from', 'local', '--create-bucket');
    await crm.cheapenKeys();
    await crm.succeed('backup', '--repository', 'local');
    await crm.succeed('copy', '--to', 'offsite');
    original = await tables('crm_dev');
    betweenBackups = new Date().toISOString();
    await crm.postgres.sql('crm_dev', "INSERT INTO companies (name) VALUES ('A later company')");
    await crm.succeed('backup', 'database', '--repository', 'local');
  });
  afterAll(async () => {
    await crm[Symbol.asyncDispose]();
    await redisFolder[Symbol.asyncDispose]();
  });

  test('S1-29 S1-87 S2-048 SF-19 the latest backup comes back in place, and the damaged database stays until it is removed', async () => {
    const latest = await tables('crm_dev');
    await crm.postgres.sql('crm_dev', 'DROP TABLE deals CASCADE', 'DELETE FROM contacts WHERE id % 2 = 0');
    const refused = await crm.run(['restore', 'database']);
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(await databases()).toEqual(['crm_dev']);
    const ran = await crm.script('scripts/restore-postgres.sh');
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(await tables('crm_dev')).toEqual(latest);
    const [, kept = ''] = await databases();
    expect(kept).toMatch(/^crm_dev_before_/);
    expect(ran.stdout).toContain(kept);
    expect(await crm.postgres.sql(kept, 'SELECT count(*)::int AS rows FROM contacts')).toEqual([{ rows: 10_000 }]);
    await crm.postgres.sql('postgres', `DROP DATABASE ${kept}`);
  });

  test('S1-30 the backup before a date is found in the list and restored', async () => {
    const { repositories } = await crm.json<{ repositories: { snapshots: { id: string; time: string }[] }[] }>(
      'snapshots',
      '--component',
      'database',
    );
    const [first, second] = repositories[0]?.snapshots ?? [];
    expect([first?.time, betweenBackups, second?.time]).toEqual([first?.time, betweenBackups, second?.time].toSorted());
    await crm.succeed('restore', 'database', '--from', `before:${betweenBackups}`, '--to', 'crm_by_date');
    expect(await tables('crm_by_date')).toEqual(original);
    await crm.succeed('restore', 'database', '--from', first?.id.slice(0, 8) ?? '', '--to', 'crm_by_id');
    expect(await tables('crm_by_id')).toEqual(original);
    expect(await crm.run(['restore', 'database', '--from', 'before:2001-01-01', '--to', 'crm_none'])).toMatchObject({
      exitCode: 4,
    });
    expect(await databases()).toEqual(['crm_by_date', 'crm_by_id', 'crm_dev']);
  });

  test("S1-31 with this machine's backups gone, S3 alone brings the database back", async () => {
    renameSync(join(crm.folder, 'backups'), join(crm.folder, 'lost'));
    try {
      const unnamed = await crm.run(['restore', 'database', '--to', 'crm_from_wherever']);
      expect(unnamed).toMatchObject({
        exitCode: 3,
        stdout: expect.stringMatching(/warning: repository local was left out/),
      });
      expect(await tables('crm_from_wherever')).toEqual(original);
      await crm.succeed('restore', 'database', '--repository', 'offsite', '--to', 'crm_from_s3', '--no-cache');
      expect(await tables('crm_from_s3')).toEqual(original);
    } finally {
      renameSync(join(crm.folder, 'lost'), join(crm.folder, 'backups'));
    }
  });

  test('SF-20 SF-19 a restore that fails half-way ends with 1, and the database in use is as it was', async () => {
    const { postgres, environment } = crm;
    // Stock pg_dump takes it, and its restore fails: the check looks at a table that is filled later.
    await postgres.sql('postgres', 'CREATE DATABASE crm_unrestorable');
    await postgres.sql(
      'crm_unrestorable',
      'CREATE TABLE zones (id int PRIMARY KEY); INSERT INTO zones VALUES (1)',
      "CREATE FUNCTION is_zone(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.zones WHERE id = $1)'",
      'CREATE TABLE addresses (zone int CHECK (is_zone(zone))); INSERT INTO addresses VALUES (1)',
    );
    const own = { environment: { ...environment, POSTGRES_DB: 'crm_unrestorable' } };
    expect(await crm.run(['backup', 'database', '--repository', 'local'], own)).toMatchObject({ exitCode: 0 });
    const before = await databases();
    const ran = await crm.run(['restore', 'database', '--yes'], own);
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ran.stderr).toMatch(/addresses/);
    expect(await databases()).toEqual(before);
    expect(await postgres.sql('crm_unrestorable', 'SELECT zone FROM addresses')).toEqual([{ zone: 1 }]);
    const proof = await crm.run(['prove', 'database', '--repository', 'local'], own);
    expect(proof).toMatchObject({ exitCode: 20 });
    // What comes after shall find the good one again.
    await crm.succeed('backup', 'database', '--repository', 'local');
  });

  test('SF-18 S1-28 with the append-only file on, a running Redis gets its keys back and has them after a restart', async () => {
    await crm.redis.connection.call('FLUSHALL');
    await crm.redis.connection.call('SET', 'stray', 'written after the backup');
    await crm.succeed('restore', 'cache', '--yes');
    expect(await keys(crm.redis)).toEqual(fixtureKeys);
    await crm.redis.server[Symbol.asyncDispose]();
    await using again = await testRedis({
      settings: [`requirepass ${secrets.redis}`, ...redisSettings()],
      password: secrets.redis,
    });
    expect(await keys(again)).toEqual(fixtureKeys);
    expect(await again.connection.text('ZSCORE', 'leaderboard', 'anna')).toBe('310.5');
  });

  test('SF-18 S1-32 S1-28 put into the folder of a stopped Redis, the dump wins over the append-only file there', async () => {
    const settings = [`requirepass ${secrets.redis}`, ...redisSettings()];
    {
      await using older = await testRedis({ settings, password: secrets.redis });
      await older.connection.call('FLUSHALL');
      await older.connection.call('SET', 'stray', 'written after the backup');
    }
    expect(existsSync(join(redisFolder.path, 'appendonlydir'))).toBe(true);
    const refused = await crm.run(['restore', 'cache', '--to', redisFolder.path]);
    expect(refused).toMatchObject({ exitCode: 2 });
    await crm.succeed('restore', 'cache', '--to', redisFolder.path, '--yes');
    expect(readdirSync(redisFolder.path).filter((name) => name.includes('.before-'))).not.toEqual([]);
    await using again = await testRedis({ settings, password: secrets.redis });
    expect(await keys(again)).toEqual(fixtureKeys);
  });

  test('S1-88 one action brings everything back, and touches nothing where one part is impossible or not confirmed', async () => {
    const latest = await tables('crm_dev');
    await using redis = await testRedis({ settings: [`requirepass ${secrets.redis}`], password: secrets.redis });
    const { environment } = crm;
    environment['REDIS_PORT'] = '1';
    await crm.postgres.sql('crm_dev', 'TRUNCATE deals');
    const impossible = await crm.script('scripts/restore-all.sh');
    expect(impossible).toMatchObject({ exitCode: 1, stdout: '' });
    expect(impossible.stderr).toContain('nothing was restored, because cache');
    environment['REDIS_PORT'] = String(redis.address.port);
    expect(await crm.run(['restore-all'])).toMatchObject({ exitCode: 2 });
    const dry = await crm.succeed('restore-all', '--dry-run');
    expect(dry.stdout).toMatch(/of database[^]*replaces database crm_dev[^]*of cache/);
    expect(await crm.postgres.sql('crm_dev', 'SELECT FROM deals')).toEqual([]);
    const done = await crm.script('scripts/restore-all.sh');
    expect(done).toMatchObject({ exitCode: 0 });
    expect(done.stdout.indexOf('restored database')).toBeLessThan(done.stdout.indexOf('restored cache'));
    expect(await tables('crm_dev')).toEqual(latest);
    expect(await keys(redis)).toEqual(fixtureKeys);
  });
}

await describeWithS3('hasteCRM restored', () =>
  describeWith(['redis-server', 'pg_dump'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
