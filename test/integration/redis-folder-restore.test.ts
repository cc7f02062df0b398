import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { dumpPath } from '../../src/sources/redis/redis-session.ts';
import type { RestoreDecision, RestoreRequest, Source } from '../../src/sources/source.ts';
import { record, type RecordedReader } from '../support/recorded-reader.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const quiet = { step: () => undefined, bytes: () => undefined };

function decide(from: Source, point: RecordedReader, request: Partial<RestoreRequest> = {}): Promise<RestoreDecision> {
  if (from.restore.kind !== 'service') throw new Error('redis is a service');
  return from.restore.decide(point, { include: [], ...request }, signal);
}

async function get(redis: TestRedis, database: number, key: string): Promise<string> {
  await redis.connection.call('SELECT', database);
  return redis.connection.text('GET', key);
}

/** Runs a server on the folder, with other data in it, and stops it. */
async function olderServer(folder: string, settings: readonly string[]): Promise<void> {
  await using redis = await testRedis({ settings: [...settings, `dir "${folder}"`] });
  await redis.connection.call('SET', 'text', 'old');
  await redis.connection.call('SAVE');
}

async function newerPoint() {
  const origin = await testRedis();
  await origin.connection.call('SET', 'text', 'new');
  const source = redisSource(origin.address);
  const reader = await record(source, signal);
  return { source, reader, [Symbol.asyncDispose]: () => origin[Symbol.asyncDispose]() };
}

describeWith(['redis-server'], 'a restore of redis into a folder', () => {
  test.each([
    ['without append-only file', ['appendonly no'], ['dump.rdb']],
    ['with append-only file', ['appendonly yes'], ['appendonlydir', 'dump.rdb']],
    [
      'with append-only file of another name',
      ['appendonly yes', 'appendfilename other'],
      ['appendonlydir', 'dump.rdb'],
    ],
  ])('%s brings the restored data at the next start and keeps the old files', async (_, settings, replaced) => {
    await using folder = await temporaryFolder();
    await olderServer(folder.path, settings);
    await using point = await newerPoint();
    const decision = await decide(point.source, point.reader, { to: folder.path });
    expect(decision.findings.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    for (const name of replaced) expect(decision.replaces).toContain(name);
    const outcome = await decision.execute(quiet, signal);
    expect(outcome.restored).toEqual([`${folder.path}/dump.rdb: 1 key; start the server to load it`]);
    expect(readdirSync(folder.path).filter((name) => name.includes('.before-'))).toHaveLength(replaced.length);
    await using redis = await testRedis({ settings: [...settings, `dir "${folder.path}"`] });
    expect(await get(redis, 0, 'text')).toBe('new');
    await redis.connection.call('SET', 'after', 'it');
  });

  test('makes the folder that is missing, but no path of them', async () => {
    await using folder = await temporaryFolder();
    await using point = await newerPoint();
    const deep = await decide(point.source, point.reader, { to: `${folder.path}/a/b` });
    expect(deep.findings).toMatchObject([{ outcome: 'failed', message: `${folder.path}/a can't be written: ENOENT` }]);
    const decision = await decide(point.source, point.reader, { to: `${folder.path}/new` });
    await decision.execute(quiet, signal);
    await using redis = await testRedis({ settings: [`dir "${folder.path}/new"`] });
    expect(await get(redis, 0, 'text')).toBe('new');
  });

  test('replaces an append-only file of Redis 6', async () => {
    await using folder = await temporaryFolder();
    writeFileSync(join(folder.path, 'appendonly.aof'), '*3\r\n$3\r\nSET\r\n$4\r\ntext\r\n$3\r\nold\r\n');
    await using point = await newerPoint();
    await (await decide(point.source, point.reader, { to: folder.path })).execute(quiet, signal);
    await using redis = await testRedis({ settings: ['appendonly yes', `dir "${folder.path}"`] });
    expect(await get(redis, 0, 'text')).toBe('new');
  });

  test('is refused while the server runs on it', async () => {
    await using folder = await temporaryFolder();
    chmodSync(folder.path, 0o700);
    await using redis = await testRedis({ settings: [`dir "${folder.path}"`] });
    await redis.connection.call('SET', 'text', 'x');
    const source = redisSource(redis.address);
    const reader = await record(source, signal);
    const decision = await decide(source, reader, { to: folder.path });
    expect(decision.findings).toContainEqual(expect.objectContaining({ aspect: 'server stopped', outcome: 'failed' }));
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    expect(existsSync(join(folder.path, 'dump.rdb'))).toBe(false);
  });

  test('that cannot write its append-only form leaves nothing but the present files', async () => {
    await using folder = await temporaryFolder();
    mkdirSync(join(folder.path, 'appendonlydir'));
    // The base file would have a longer name than any file may.
    writeFileSync(join(folder.path, 'appendonlydir', `${'a'.repeat(246)}.manifest`), '');
    await using point = await newerPoint();
    const decision = await decide(point.source, point.reader, { to: folder.path });
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
    expect(readdirSync(folder.path)).toEqual(['appendonlydir']);
  });

  test('of a damaged dump leaves the present files untouched', async () => {
    await using folder = await temporaryFolder();
    await olderServer(folder.path, ['appendonly yes']);
    const before = readdirSync(folder.path).toSorted();
    await using point = await newerPoint();
    const bytes = point.reader.files.get(dumpPath)!;
    const damaged = {
      ...point.reader,
      async *read() {
        yield bytes.subarray(0, bytes.length - 3);
      },
    };
    const decision = await decide(point.source, damaged, { to: folder.path });
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    expect(readdirSync(folder.path).toSorted()).toEqual(before);
  });
});
