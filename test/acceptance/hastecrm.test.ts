// hasteCRM's backups, as its own document describes them: PostgreSQL and Redis to this machine, from there to S3.
import {
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresMajor, secrets, startExample, type ExampleApplication } from '../support/example-application.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { describeWith, findTool } from '../support/tools.ts';

interface SnapshotList {
  readonly repositories: readonly {
    readonly name: string;
    readonly snapshots: readonly { readonly component: string; readonly tree: string; readonly time: string }[];
  }[];
}
interface BackupSummary {
  readonly backups: readonly {
    readonly component: string;
    readonly repository: string;
    readonly result: { readonly totalBytes: number; readonly addedBytes: number; readonly storedBytes: number };
  }[];
}

let crm: ExampleApplication;

/** These tests are one story: each goes on where the one before ended. */
function define(): void {
  beforeAll(async () => {
    crm = await startExample({ name: 'hastecrm', database: 'crm_dev' });
  });
  afterAll(() => crm[Symbol.asyncDispose]());

  test('S1-14 S1-15 S1-16 S1-17 repositories are made here and in a new, versioned bucket named by the variables', async () => {
    await crm.succeed('repository', 'init', '--repository', 'local');
    const offsite = ['repository', 'init', '--repository', 'offsite', '--from', 'local'];
    const refused = await crm.run(offsite);
    expect(refused).toMatchObject({ exitCode: 10 });
    expect(refused.stderr).toContain('--create-bucket');
    await crm.succeed(...offsite, '--create-bucket', '--versioning');
    await crm.cheapenKeys();
    const client = crm.s3.inspector();
    const Bucket = 'hastecrm-backups';
    expect(await client.send(new GetBucketVersioningCommand({ Bucket }))).toMatchObject({ Status: 'Enabled' });
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'hastecrm-backups/' }));
    expect(Contents?.map(({ Key }) => Key)).toContain('hastecrm-backups/config');
    client.destroy();
  });

  test('S1-07 S1-10 S1-82 S1-83 S1-84 S1-85 S1-09 one script backs up both, copies to S3 and verifies both copies', async () => {
    const ran = await crm.script('scripts/run-backup.sh', '--description', 'before maintenance');
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(ran.stdout).toMatch(/repository local: intact[^]*repository offsite: intact/);
    const { repositories } = await crm.json<SnapshotList>('snapshots');
    const trees = repositories.map(({ snapshots }) => snapshots.map(({ component, tree }) => `${component} ${tree}`));
    expect(repositories.map(({ name }) => name)).toEqual(['local', 'offsite']);
    expect(trees[0]).toHaveLength(2);
    expect(trees[1]).toEqual(trees[0]);
    expect(repositories[0]?.snapshots).toMatchObject([
      { component: 'database', description: 'before maintenance' },
      { component: 'cache', description: 'before maintenance' },
    ]);
  });

  test('S1-83 S1-84 S1-85 each part runs by itself, and a copy sends only what S3 has not got', async () => {
    for (const part of ['postgres-backup.sh', 'redis-backup.sh', 's3-sync.sh'])
      expect(await crm.script(`scripts/backup/${part}`)).toMatchObject({ exitCode: 0 });
    const { repositories } = await crm.json<SnapshotList>('snapshots');
    expect(repositories.map(({ snapshots }) => snapshots.length)).toEqual([4, 4]);
    const again = await crm.json<{ blobs: number; snapshots: { wasThere: boolean }[] }>('copy', '--to', 'offsite');
    expect(again.blobs).toBe(0);
    expect(again.snapshots.map(({ wasThere }) => wasThere)).toEqual([true, true, true, true]);
  });

  test('S1-10 S1-09 S2-030 one command backs up every component to this machine and to S3', async () => {
    const { backups } = await crm.json<BackupSummary>('backup');
    expect(backups.map(({ component, repository }) => `${component} ${repository}`)).toEqual([
      'database local',
      'database offsite',
      'cache local',
      'cache offsite',
    ]);
  });

  test('S1-12 S1-13 the database and the cache are found by the variables: a wrong port is named', async () => {
    for (const [variable, component] of [
      ['POSTGRES_PORT', 'database'],
      ['REDIS_PORT', 'cache'],
    ] as const) {
      const environment = { ...crm.environment, [variable]: '1' };
      const ran = await crm.run(['backup', component, '--repository', 'local'], { environment });
      expect(ran).toMatchObject({ exitCode: 1 });
      expect(ran.stderr).toMatch(/127\.0\.0\.1.*\b1\b/);
    }
    const environment = { ...crm.environment, POSTGRES_DB: 'no_such_database' };
    expect(await crm.run(['backup', 'database', '--repository', 'local'], { environment })).toMatchObject({
      exitCode: 1,
    });
    const wrong = { ...crm.environment, REDIS_PASSWORD: 'wrong' };
    expect(await crm.run(['backup', 'cache', '--repository', 'local'], { environment: wrong })).toMatchObject({
      exitCode: 1,
    });
  });

  test('S1-12 S1-13 S1-14 S1-15 S2-030 without lifeboat.yaml the variables alone protect: S3 only where one is configured', async () => {
    const folder = join(crm.root, 'bare');
    await mkdir(folder);
    const { S3_BACKUP_BUCKET: bucket = '', ...without } = crm.environment;
    const environment = { ...without, S3_PREFIX: 'bare', LIFEBOAT_REPOSITORY: './here' };
    const run = (env: Record<string, string>, ...args: string[]) =>
      crm.run([...args, '--json'], { folder, environment: env });
    expect(await run(environment, 'repository', 'init')).toMatchObject({ exitCode: 0 });
    const local = await run(environment, 'backup');
    expect(local).toMatchObject({ exitCode: 0 });
    expect(local.stdout).toMatch(
      /"component":"postgres","repository":"local"[^]*"component":"redis","repository":"local"/,
    );
    expect(local.stdout).not.toContain('"repository":"s3"');
    const { LIFEBOAT_REPOSITORY: _, ...remote } = { ...environment, S3_BACKUP_BUCKET: bucket };
    expect(await run(remote, 'repository', 'init')).toMatchObject({ exitCode: 0 });
    const offsite = await run(remote, 'backup');
    expect(offsite).toMatchObject({ exitCode: 0 });
    expect(offsite.stdout).toMatch(/"component":"postgres","repository":"s3"[^]*"component":"redis","repository":"s3"/);
  });

  test('S1-21 S1-24 S2-041 a dump holds schema and data, and comes out as a file that stock pg_restore reads', async () => {
    const child = await dumpTo('database', '/databases/crm_dev.dump', 'crm.dump');
    const program = findTool('pg_dump')?.replace(/pg_dump$/, 'pg_restore') ?? 'pg_restore';
    const sql = execFileSync(program, ['--file=-', child], { encoding: 'utf8', maxBuffer: 2 ** 28 });
    for (const one of ['TABLE public.contacts', 'VIEW public.pipeline', 'TYPE public.stage', 'INDEX contacts_company'])
      expect(sql).toContain(`CREATE ${one}`);
    expect(sql).toContain('FOREIGN KEY (company_id) REFERENCES public.companies(id)');
    const rows = /COPY public\.contacts [^]*?;\n([^]*?)\n\\\.\n/.exec(sql)?.[1]?.split('\n');
    expect(rows).toHaveLength(20_000);
    expect(rows?.[16]).toMatch(/^17\t18\tContact 17\tmet at the fair/);
  });

  test('S2-043 S1-84 the RDB file comes out as a file that Redis itself finds intact', async () => {
    const path = await dumpTo('cache', '/dump.rdb', 'dump.rdb');
    expect(readFileSync(path).subarray(0, 5).toString()).toBe('REDIS');
    const program = findTool('redis-server')?.replace(/redis-server$/, 'redis-check-rdb') ?? 'redis-check-rdb';
    const report = execFileSync(program, [path], { encoding: 'utf8' });
    expect(report).toMatch(/RDB looks OK/);
    expect(report).toContain('7 keys read');
  });

  test('S1-81 a dump is sealed for a recipient before it goes to the bucket, and only the identity opens it', async () => {
    expect(await sealedAndBack()).toEqual({ isReadable: false, isTheSame: true });
  });

  test('S1-23 S2-001 a backup during transfers between two tables holds one instant, and its proof passes', async () => {
    const { postgres, database } = crm;
    await postgres.sql(
      database,
      'CREATE TABLE a_side AS SELECT 0::bigint AS value',
      'CREATE TABLE z_side AS SELECT 0::bigint AS value',
    );
    const writing = new AbortController();
    let transfers = 0;
    const writer = (async () => {
      for (; !writing.signal.aborted; transfers += 1)
        await postgres.sql(
          database,
          'UPDATE a_side SET value = value + 1; UPDATE z_side SET value = value - 1; INSERT INTO companies (name) VALUES (gen_random_uuid())',
        );
    })();
    try {
      await expect.poll(() => transfers).toBeGreaterThan(0);
      const before = transfers;
      await crm.succeed('backup', 'database', '--repository', 'local');
      expect(transfers).toBeGreaterThan(before);
    } finally {
      writing.abort();
      await writer;
    }
    await crm.succeed('restore', 'database', '--repository', 'local', '--to', 'crm_instant');
    const [row] = await postgres.sql(
      'crm_instant',
      'SELECT a.value AS a, a.value + z.value AS sum, (SELECT count(*) FROM companies) - 200 AS added FROM a_side a, z_side z',
    );
    expect(row).toMatchObject({ sum: '0' });
    expect(Number(row?.['a'])).toBeGreaterThan(0);
    expect(row?.['added']).toBe(row?.['a']);
    const proof = await crm.succeed('prove', 'database', '--repository', 'local');
    expect(proof.stdout).toMatch(/^passed {2}database/);
  });

  test('S1-25 S1-26 S2-042 S2-002 a snapshot of Redis is taken in the background, of one instant, while it goes on serving', async () => {
    const { connection } = crm.redis;
    const statistic = async (name: string) =>
      Number(new RegExp(`${name}:(\\d+)`).exec(await connection.text('INFO', 'all'))?.[1] ?? 0);
    await connection.call('SET', 'filler', 'x'.repeat(20_000_000));
    const forksBefore = await statistic('total_forks');
    const writing = new AbortController();
    let written = 0;
    const writer = (async () => {
      for (; !writing.signal.aborted; written += 1) {
        await connection.call(
          'EVAL',
          "redis.call('INCR', 'counter'); redis.call('RPUSH', 'log', redis.call('GET', 'counter'))",
          0,
        );
      }
    })();
    try {
      await crm.succeed('backup', 'cache', '--repository', 'local');
    } finally {
      writing.abort();
      await writer;
    }
    expect(await statistic('total_forks')).toBeGreaterThan(forksBefore);
    expect(await connection.text('INFO', 'commandstats')).not.toMatch(/cmdstat_save:/);
    await crm.succeed('restore', 'cache', '--repository', 'local', '--yes');
    const [counter, length] = [
      Number(await connection.text('GET', 'counter')),
      Number(await connection.text('LLEN', 'log')),
    ];
    expect(counter).toBeGreaterThan(0);
    expect(counter).toBeLessThan(written);
    expect(length).toBe(counter);
    await connection.call('DEL', 'filler', 'counter', 'log');
  });

  test('S1-03 S1-22 S1-27 what is stored is compressed, and the ratio told is that of the files on disk', async () => {
    writeFileSync(
      join(crm.folder, 'fresh.yaml'),
      readFileSync(join(crm.folder, 'lifeboat.yaml'), 'utf8').replace('./backups', './fresh'),
    );
    const at = ['--config', 'fresh.yaml', '--repository', 'local'];
    await crm.redis.connection.call('SET', 'page:1', '<li>an item of the page</li>'.repeat(20_000));
    await crm.succeed('repository', 'init', ...at);
    const sizeOfPacks = () =>
      globSync(join(crm.folder, 'fresh/data/*/*')).reduce((sum, path) => sum + statSync(path).size, 0);
    for (const component of ['database', 'cache']) {
      const before = sizeOfPacks();
      const { backups } = await crm.json<BackupSummary>('backup', component, ...at);
      const totalBytes = backups[0]?.result.totalBytes ?? 0;
      const storedBytes = backups[0]?.result.storedBytes ?? 0;
      expect(storedBytes).toBeGreaterThan(0);
      expect(storedBytes).toBeLessThan(totalBytes * 0.5);
      // Packs have a header beside the blobs.
      expect(sizeOfPacks() - before).toBeGreaterThanOrEqual(storedBytes);
      expect(sizeOfPacks() - before).toBeLessThan(storedBytes * 1.1 + 5_000);
    }
    const { raw } = await crm.json<{ raw: { plainBytes: number; storedBytes: number; compressionRatio: number } }>(
      'repository',
      'stats',
      ...at,
    );
    expect(raw.compressionRatio).toBeCloseTo(raw.plainBytes / raw.storedBytes, 6);
    expect(raw.compressionRatio).toBeGreaterThan(2);
    expect(raw.storedBytes).toBeLessThanOrEqual(sizeOfPacks());
  });

  test('S1-04 S1-05 nothing is readable without the password, neither here nor in S3', async () => {
    const client = crm.s3.inspector();
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'hastecrm-backups' }));
    client.destroy();
    expect(Contents?.filter(({ Key = '' }) => /\/data\/../.test(Key)).length).toBeGreaterThan(2);
    const environment = { ...crm.environment, LIFEBOAT_PASSWORD: 'guessed' };
    for (const repository of ['local', 'offsite']) {
      const ran = await crm.run(['snapshots', '--repository', repository], { environment });
      expect(ran).toMatchObject({ exitCode: 12, stdout: '' });
      expect(ran.stderr).not.toContain(secrets.repository);
    }
    const files = globSync(join(crm.folder, 'backups/**/*')).filter((path) => statSync(path).isFile());
    expect(files.length).toBeGreaterThan(8);
    for (const path of files) {
      const content = readFileSync(path);
      const readable = ['met at the fair', 'Contact 17', 'CREATE TABLE', 'leaderboard', 'crm_dev'].filter((word) =>
        content.includes(word),
      );
      expect({ path, readable }).toEqual({ path, readable: [] });
    }
  });
}

async function sealedAndBack(): Promise<{ readonly isReadable: boolean; readonly isTheSame: boolean }> {
  const plain = await dumpTo('database', '/databases/crm_dev.dump', 'plain.dump');
  const identity = join(crm.root, 'identity.txt');
  execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identity], { encoding: 'utf8' }).trim();
  const sealed = await dumpTo('database', `/databases/crm_dev.dump --recipient ${recipient}`, 'crm.dump.age');
  const client = crm.s3.inspector();
  const object = { Bucket: 'hastecrm-backups', Key: 'handed-over/crm.dump.age' };
  await client.send(new PutObjectCommand({ ...object, Body: readFileSync(sealed) }));
  const { Body } = await client.send(new GetObjectCommand(object));
  const input = Buffer.from((await Body?.transformToByteArray()) ?? []);
  client.destroy();
  const back = execFileSync('age', ['-d', '-i', identity], { input, maxBuffer: 2 ** 28 });
  const other = join(crm.root, 'other.txt');
  execFileSync('age-keygen', ['-o', other], { stdio: 'ignore' });
  expect(() => execFileSync('age', ['-d', '-i', other, sealed], { stdio: 'pipe' })).toThrow(/no identity matched/);
  const isReadable = ['PGDMP', 'met at the fair'].some((words) => input.includes(words));
  return { isReadable, isTheSame: back.equals(readFileSync(plain)) };
}

/** A file of the newest snapshot, written by the program's own standard output. */
async function dumpTo(component: string, path: string, name: string): Promise<string> {
  const target = join(crm.root, name);
  const command = `lifeboat dump latest ${path} --component ${component} --repository local > ${target}`;
  execFileSync('sh', ['-c', command], { cwd: crm.folder, env: crm.environment });
  return target;
}

await describeWithS3('hasteCRM', () =>
  describeWith(['redis-server', 'pg_dump', 'age'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
