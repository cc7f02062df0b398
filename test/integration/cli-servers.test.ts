// The real program against real servers: a database and a cache backed up, proven, lost and restored; a bucket as
// repository, with its cache.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import { describeWithPostgres, letIn, startPostgres } from '../support/postgres-server.ts';
import { testRedis } from '../support/redis-server.ts';
import { damageFile } from '../support/damaged-packs.ts';
import { createRepository, reopen } from '../support/repository.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

function runner(folder: string, environment: Record<string, string> = {}) {
  const run = (...args: string[]): Promise<Ran> => runHere(args, { folder, environment });
  const succeed = async (...args: string[]): Promise<Ran> => {
    const ran = await run(...args);
    if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
    return ran;
  };
  return { run, succeed };
}

/** An error that names the file. */
const damageOf = (pack: string): unknown =>
  expect.objectContaining({
    code: 'REPOSITORY_DAMAGED',
    message: expect.stringContaining(`data/${pack.slice(0, 2)}/${pack}`),
  });

async function configure(folder: string, components: object): Promise<void> {
  await createRepository(folder);
  const repositories = { local: { location: './repository' } };
  // JSON is YAML.
  await writeFile(join(folder, 'lifeboat.yaml'), JSON.stringify({ application: 'shop', repositories, components }));
}

describeWithPostgres(15, 'a PostgreSQL component', () => {
  test('is checked, backed up, proven, lost, restored in place and beside', async () => {
    await using folder = await temporaryFolder();
    await using server = await startPostgres(15);
    await server.sql('postgres', 'create database shop');
    await server.sql('shop', 'create table orders (id int primary key, note text)');
    await server.sql('shop', 'create table numbered (id serial)');
    await server.sql('shop', "insert into orders select n, 'order ' || n from generate_series(1, 500) n");
    const { host, port, user, password } = server.address;
    const settings = { host, port, user, ...(password !== undefined && { password }) };
    await configure(folder.path, {
      database: { type: 'postgres', ...settings, databases: ['shop'], sslmode: 'disable' },
    });
    const { run, succeed } = runner(folder.path);

    const checked = await run('check');
    expect([0, 3]).toContain(checked.exitCode);
    expect(checked.stdout).toMatch(/ok +connection/);
    await succeed('backup', 'database');
    const proof = await succeed('prove', 'database', '--json');
    const message = /^2 tables with 500 rows, \d+ schema objects and 1 sequence came back as they were$/;
    expect(jsonLines(proof).at(-1)).toMatchObject({
      proofs: [{ outcome: 'passed', rows: 500, message: expect.stringMatching(message) }],
    });

    await server.sql('shop', 'drop table orders');
    await succeed('restore', 'database', '--to', 'shop_beside');
    expect(await server.sql('shop_beside', 'select count(*)::int as n from orders')).toEqual([{ n: 500 }]);
    const refused = await run('restore', 'database');
    expect(refused).toMatchObject({ exitCode: 2 });
    // What can't be done is not asked about.
    await server.sql('postgres', `create role weak login password '${password ?? ''}'`);
    await letIn(server, 'weak');
    const hopeless = await run('restore', 'database', '--to', `postgres://weak@${host}:${port}/shop`);
    expect(hopeless).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('weak may not create databases') });
    expect(hopeless.stderr).toContain('ALTER DATABASE');
    const session = new pg.Client({ host, port, user, password, database: 'shop' });
    session.on('error', () => undefined);
    await session.connect();
    const restored = await succeed('restore', 'database', '--from', 'latest-proven', '--yes');
    await session.end();
    expect(restored.stderr).toMatch(/^warning .*in use: .*shop/m);
    expect(restored.stderr.replaceAll(/\s+/g, ' ')).toContain('the sessions are ended at the swap');
    expect(restored.stdout).toContain('kept:');
    expect(await server.sql('shop', 'select count(*)::int as n from orders')).toEqual([{ n: 500 }]);

    const pack = await damageFile(await reopen(folder.path), '/databases/shop.dump');
    const lost = await run('restore', 'database', '--to', 'shop_lost', '--json');
    expect([lost.exitCode, jsonLines(lost).at(-1)]).toEqual([20, damageOf(pack)]);
    expect(await server.sql('postgres', "select datname from pg_database where datname like '%lost%'")).toEqual([]);
  });
});

describeWith(['redis-server'], 'servers that the classic variables name', () => {
  describeWithPostgres(15, 'of both kinds', () => {
    test('are written down by init without their passwords, checked and backed up, and complete a file that names the host', async () => {
      await using folder = await temporaryFolder();
      await using server = await startPostgres(15);
      await server.sql('postgres', 'create database shop');
      await server.sql('shop', 'create table orders as select 1 as id');
      await using redis = await testRedis({ password: 'opensesame', settings: ['requirepass opensesame'] });
      await redis.connection.call('SET', 'key', 'value');
      const { port, user, password = '' } = server.address;
      const { run, succeed } = runner(folder.path, {
        POSTGRES_HOST: '127.0.0.1',
        POSTGRES_PORT: String(port),
        POSTGRES_USER: user,
        POSTGRES_PASSWORD: password,
        POSTGRES_DB: 'shop',
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(redis.address.port),
        REDIS_PASSWORD: 'opensesame',
      });
      const path = join(folder.path, 'lifeboat.yaml');
      const backUp = async () => {
        expect([0, 3]).toContain((await run('check')).exitCode);
        await succeed('backup');
        expect(jsonLines(await succeed('prove', '--json')).at(-1)).toMatchObject({
          proofs: [{ outcome: 'passed' }, { outcome: 'passed' }],
        });
      };

      const init = await succeed('init', '-r', './repository', '--create-repository');
      expect(init.stdout).toContain('with database, cache');
      const text = await readFile(path, 'utf8');
      expect(text).toContain('password: ${POSTGRES_PASSWORD}');
      expect(text).toContain('password: ${REDIS_PASSWORD}');
      expect(text).toContain("databases: ['shop']");
      expect(text).not.toContain(password);
      expect(text).not.toContain('opensesame');
      await backUp();

      const components = {
        database: { type: 'postgres', host: '127.0.0.1' },
        cache: { type: 'redis', host: '127.0.0.1' },
      };
      const repositories = { local: { location: './repository' } };
      await writeFile(path, JSON.stringify({ application: 'shop', repositories, components }));
      await backUp();
      expect((await succeed('ls', 'latest', '--component', 'database')).stdout).not.toContain('postgres.dump');
    });
  });
});

describeWith(['redis-server'], 'a Redis component', () => {
  test('is checked, backed up, proven, flushed and restored', async () => {
    await using folder = await temporaryFolder();
    await using redis = await testRedis({ password: 'open sesame', settings: ['requirepass "open sesame"'] });
    for (let number = 0; number < 50; number += 1)
      await redis.connection.call('SET', `key:${number}`, `value ${number}`);
    await redis.connection.call('RPUSH', 'list', 'a', 'b');
    const { host, port } = redis.address;
    await configure(folder.path, { cache: { type: 'redis', host, port, password: '${CACHE_PASSWORD}' } });
    const { run, succeed } = runner(folder.path, { CACHE_PASSWORD: 'open sesame' });

    const ran = [await run('check'), await succeed('backup')];
    const proof = await succeed('prove', '--json');
    expect(jsonLines(proof).at(-1)).toMatchObject({
      proofs: [{ rows: 51, message: '1 list key and 50 string keys came back as they were' }],
    });
    ran.push(proof);
    await redis.connection.call('FLUSHALL');
    ran.push(await succeed('restore', 'cache', '--yes'));
    expect(await redis.connection.call('DBSIZE')).toBe(51);
    const pack = await damageFile(await reopen(folder.path), '/dump.rdb');
    await redis.connection.call('DEL', 'key:7');
    const lost = await run('restore', 'cache', '--yes', '--json');
    expect([lost.exitCode, jsonLines(lost).at(-1)]).toEqual([20, damageOf(pack)]);
    expect(await redis.connection.call('DBSIZE')).toBe(50);
    expect(ran.map(({ stdout, stderr }) => stdout + stderr).join('\n')).not.toContain('open sesame');
  });
});

await describeWithS3('a bucket as repository', () => {
  test('is checked and used, with credentials from the environment and a cache in the home folder', async () => {
    await using folder = await temporaryFolder();
    await using server = await startS3Server();
    const bucket = await server.makeBucket();
    const { endpoint, credentials } = server.client;
    const environment = {
      AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? 'test',
      AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? 'secret',
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    await writeFile(join(folder.path, 'file'), 'content');
    const { run, succeed } = runner(folder.path, environment);
    const repository = ['--repository', `s3://${bucket}/app?endpoint=${encodeURIComponent(endpoint)}&region=us-east-1`];

    await succeed('repository', 'init', ...repository);
    await succeed('backup', '--path', './file', ...repository);
    await succeed('restore', 'latest', '--to', './out', ...repository);
    expect(await readFile(join(folder.path, 'out', folder.path, 'file'), 'utf8')).toBe('content');
    const cached = await readdir(join(folder.path, '.cache/lifeboat'), { recursive: true });
    for (const kind of ['snapshots', 'index', 'data']) {
      expect(cached).toContainEqual(expect.stringMatching(new RegExp(`${kind}/../[0-9a-f]{64}$`)));
    }

    const doctor = await run('doctor', ...repository);
    expect(doctor.stdout).toMatch(/ok +credentials +access key/);
    expect(doctor.stdout).toMatch(/ok +list bucket/);
    expect(doctor.stdout).toMatch(/ok +clock/);
    expect(doctor.stdout).toMatch(/warning +bucket versioning/);
    expect(doctor.stdout).not.toContain(environment.AWS_SECRET_ACCESS_KEY);
  });
});

await describeWithS3('a bucket that refuses', () => {
  test('is told by doctor with the key in use and what to grant, and fails the backup without a stack', async () => {
    await using folder = await temporaryFolder();
    await using server = await startS3Server({ refusesCredentials: true });
    const { run } = runner(folder.path, { AWS_ACCESS_KEY_ID: 'AKIAWRONGKEY', AWS_SECRET_ACCESS_KEY: 'not the secret' });
    const place = `s3://some-bucket/app?endpoint=${encodeURIComponent(server.client.endpoint)}&region=us-east-1`;
    const doctor = await run('doctor', '--repository', place);
    expect(doctor).toMatchObject({ exitCode: 1 });
    expect(doctor.stdout).toMatch(/FAILED +credentials +access key …GKEY from the environment/);
    expect(doctor.stdout).toMatch(/FAILED +list bucket[^]*hint: /);
    expect(doctor.stdout).not.toContain('not the secret');
    const backup = await run('backup', '--path', '.', '--repository', place);
    expect(backup).toMatchObject({ exitCode: 1 });
    expect(backup.stderr).toContain('STORE_DENIED');
    expect(backup.stderr).not.toMatch(/^ +at /m);
  });
});

describe('a server that is not there', () => {
  test('fails the backup of its component, and no message holds its password', async () => {
    await using folder = await temporaryFolder();
    await configure(folder.path, {
      database: { type: 'postgres', url: 'postgres://someone:geheim@127.0.0.1:1/shop?sslmode=disable' },
      cache: { type: 'redis', url: 'redis://:geheim@127.0.0.1:1' },
    });
    const ran = await runner(folder.path).run('backup', '--verbose');
    expect(ran).toMatchObject({ exitCode: 1 });
    expect(ran.stdout).toMatch(/failed {2}database/);
    expect(ran.stdout).toMatch(/failed {2}cache/);
    expect(ran.stdout + ran.stderr).not.toContain('geheim');
  });
});
