import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { compareFingerprints, type Fingerprint } from '../../src/model/fingerprint.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { summaryOf } from '../../src/sources/redis/redis-sandbox.ts';
import { dumpPath } from '../../src/sources/redis/redis-session.ts';
import type { RestoreDecision, RestoreRequest, Source } from '../../src/sources/source.ts';
import { record, type RecordedReader } from '../support/recorded-reader.ts';
import { fillRedis } from '../support/redis-data.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const now = () => new Date().getTime();
const quiet = { step: () => undefined, bytes: () => undefined };

function decide(from: Source, point: RecordedReader, request: Partial<RestoreRequest> = {}): Promise<RestoreDecision> {
  if (from.restore.kind !== 'service') throw new Error('redis is a service');
  return from.restore.decide(point, { include: [], ...request }, signal);
}

async function fingerprintOf(redis: TestRedis, like?: Fingerprint): Promise<Fingerprint> {
  const { fingerprint } = await summaryOf(redis.address, signal, like);
  return fingerprint!;
}

const urlOf = (redis: TestRedis) => `redis://127.0.0.1:${redis.address.port}`;

async function get(redis: TestRedis, database: number, key: string): Promise<string> {
  await redis.connection.call('SELECT', database);
  return redis.connection.text('GET', key);
}

/** The server backed up, and its recovery point, for the tests of one group. */
let origin: TestRedis;
let source: Source;
let reader: RecordedReader;
async function startOrigin(): Promise<void> {
  origin = await testRedis();
  await fillRedis(origin.connection, now() + 86_400_000);
  await origin.connection.call(
    'FUNCTION',
    'LOAD',
    "#!lua name=mine\nredis.register_function('f', function() return 1 end)",
  );
  source = redisSource(origin.address);
  reader = await record(source, signal);
}

describeWith(['redis-server'], 'a restore of redis', () => {
  beforeAll(startOrigin);
  afterAll(() => origin[Symbol.asyncDispose]());

  test('into an empty server brings back every type, stream group, expiry and function, and replaces nothing', async () => {
    await using target = await testRedis();
    const decision = await decide(source, reader, { to: urlOf(target) });
    expect(decision.replaces).toBeUndefined();
    const outcome = await decision.execute(quiet, signal);
    const kinds = outcome.restored.map((line) => line.replace(/^(db\d+: \d+ keys): .*$/, '$1'));
    expect(kinds).toEqual(['db0: 21 keys', 'db3: 2 keys']);
    const counts = Object.entries(Object(reader.recordedFacts['keys'])['db0'] as Record<string, number>);
    for (const [type, number] of counts) expect(outcome.restored[0]).toMatch(new RegExp(`[:,] ${number} ${type}(,|$)`));
    const found = await fingerprintOf(target);
    expect(compareFingerprints(reader.recordedFingerprint!, found, now())).toEqual([]);
    expect(found.items.map(({ name }) => name)).toContain('functions');
    expect(await target.connection.text('FCALL', 'f', 0)).toBe('1');
  });

  test('over present data swaps it in and keeps the earlier keys in another database', async () => {
    await using target = await testRedis();
    await target.connection.call('SET', 'text', 'old');
    await target.connection.call('SELECT', 5);
    await target.connection.call('SET', 'stray', 'old');
    const decision = await decide(source, reader, { to: urlOf(target) });
    expect(decision.replaces).toBe('db0: 1 key, db5: 1 key');
    expect(decision.steps).toEqual([
      'write db0 by way of db15, db3 by way of db14, db5 by way of db13',
      'compare what is there with the recovery point',
      'swap old and new databases at one instant',
      'load the functions of the recovery point over those of the same name',
    ]);
    const outcome = await decision.execute(quiet, signal);
    expect(outcome.kept).toContain('of db0 in db15, of db5 in db13');
    expect(await get(target, 0, 'text')).toBe('hello');
    expect(await get(target, 15, 'text')).toBe('old');
    expect(await get(target, 13, 'stray')).toBe('old');
    await target.connection.call('SELECT', 5);
    expect(await target.connection.text('DBSIZE')).toBe('0');
  });

  test('into a server with the append-only file on survives its restart', async () => {
    await using folder = await temporaryFolder();
    const settings = ['appendonly yes', `dir "${folder.path}"`];
    {
      await using target = await testRedis({ settings });
      await target.connection.call('SET', 'text', 'old');
      await (await decide(source, reader, { to: urlOf(target) })).execute(quiet, signal);
      await target.connection.call('WAITAOF', 1, 0, 0).catch(() => undefined); // Redis 7.2 on.
      await target.connection.call('CONFIG', 'SET', 'appendfsync', 'always');
      await target.connection.call('SET', 'last', 'write');
    }
    await using again = await testRedis({ settings });
    expect(await get(again, 0, 'text')).toBe('hello');
    expect(await get(again, 0, 'last')).toBe('write');
  });

  test('without room beside deletes first, says so, and restores', async () => {
    await using target = await testRedis({ settings: ['databases 4'] });
    for (const database of [0, 1, 2]) {
      await target.connection.call('SELECT', database);
      await target.connection.call('SET', 'text', 'old');
    }
    const decision = await decide(source, reader, { to: urlOf(target) });
    expect(decision.findings).toContainEqual(expect.objectContaining({ aspect: 'earlier data', outcome: 'warning' }));
    expect(decision.steps[0]).toBe('read and check the whole recovery point');
    const outcome = await decision.execute(quiet, signal);
    expect(outcome.kept).toBeUndefined();
    expect(compareFingerprints(reader.recordedFingerprint!, await fingerprintOf(target), now())).toEqual([]);
  });
});

describeWith(['redis-server'], 'a difficult restore of redis', () => {
  beforeAll(startOrigin);
  afterAll(() => origin[Symbol.asyncDispose]());

  test('of a damaged recovery point leaves the present data untouched in every mode', async () => {
    const sound = reader.files.get(dumpPath)!;
    // A byte of a value, and the last of an expiry: some others, such as hints of size, change nothing that is restored.
    const key = sound.indexOf('stays long');
    const [value, expiry] = [key + 'stays long'.length + 1, key - 10];
    expect([sound[value], sound[expiry - 1]]).toEqual([0x79, 0xfc]);
    for (const [databases, at] of [
      [4, value],
      [16, value],
      [16, expiry],
    ] as const) {
      const bytes = Buffer.from(sound);
      bytes[at] = (bytes.readUInt8(at) + 1) % 256;
      const damaged = {
        ...reader,
        async *read() {
          yield bytes;
        },
      };
      await using target = await testRedis({ settings: [`databases ${databases}`] });
      for (const database of [0, 1, 2]) {
        await target.connection.call('SELECT', database);
        await target.connection.call('SET', 'text', 'old');
      }
      const before = await fingerprintOf(target);
      const decision = await decide(source, damaged, { to: urlOf(target) });
      await expect(decision.execute(quiet, signal)).rejects.toMatchObject({
        code: 'RESTORE_FAILED',
        message: expect.stringMatching(/nothing was touched|the data in use is untouched/),
      });
      expect(compareFingerprints(before, await fingerprintOf(target))).toEqual([]);
    }
  });

  test('does not touch a database that was taken into use after the decision', async () => {
    await using target = await testRedis();
    await target.connection.call('SET', 'text', 'old');
    const decision = await decide(source, reader, { to: urlOf(target) });
    await target.connection.call('SELECT', 15);
    await target.connection.call('SET', 'new user', 'data');
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    expect(await get(target, 15, 'new user')).toBe('data');
    expect(await get(target, 0, 'text')).toBe('old');
  });

  test('that is aborted while it writes beside leaves the data in use and removes its own', async () => {
    await using target = await testRedis();
    await target.connection.call('SET', 'text', 'old');
    const decision = await decide(source, reader, { to: urlOf(target) });
    const controller = new AbortController();
    const stopped = new AppError('INTERRUPTED', 'interrupted by SIGINT', { hint: 'Run it again.' });
    const progress = { ...quiet, step: (index: number) => index === 1 && controller.abort(stopped) };
    await expect(
      decision.execute({ ...progress, step: (index) => void progress.step(index) }, controller.signal),
    ).rejects.toMatchObject({
      code: 'INTERRUPTED',
      message: 'interrupted by SIGINT: the data in use is untouched',
      hint: 'Restore again.',
    });
    expect(await get(target, 0, 'text')).toBe('old');
    await expect.poll(() => target.connection.text('INFO', 'keyspace')).not.toContain('db15');
  });

  test('of one database leaves the others alone', async () => {
    await using target = await testRedis();
    await target.connection.call('SET', 'text', 'old');
    const decision = await decide(source, reader, { to: urlOf(target), include: ['db3'] });
    expect(decision.replaces).toBeUndefined();
    expect((await decision.execute(quiet, signal)).restored).toEqual([expect.stringMatching(/^db3: 2 keys: \d+ \w+/)]);
    expect(await get(target, 0, 'text')).toBe('old');
    expect(await get(target, 3, 'in three')).toBe('x');
  });

  test('leaves out keys whose time has come, and still compares as equal', async () => {
    await using short = await testRedis();
    await short.connection.call('SET', 'stays', '1');
    await short.connection.call('SET', 'goes', '1', 'PX', 400);
    const shortReader = await record(redisSource(short.address), signal);
    expect(shortReader.recordedFacts['keys']).toEqual({ db0: { string: 2 } });
    await sleep(500);
    await using target = await testRedis();
    await (await decide(redisSource(short.address), shortReader, { to: urlOf(target) })).execute(quiet, signal);
    const found = await fingerprintOf(target);
    expect(compareFingerprints(shortReader.recordedFingerprint!, found, now())).toEqual([]);
    expect(compareFingerprints(shortReader.recordedFingerprint!, found)).toHaveLength(1);
  });

  test('that runs out of memory half-way leaves the data in use and removes its own', async () => {
    await using target = await testRedis();
    await target.connection.call('SET', 'text', 'old');
    const decision = await decide(source, reader, { to: urlOf(target) });
    await target.connection.call('CONFIG', 'SET', 'maxmemory', '3mb');
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/OOM.*the data in use is untouched/),
    });
    expect(await get(target, 0, 'text')).toBe('old');
    await expect.poll(() => target.connection.text('INFO', 'keyspace')).not.toContain('db15');
  });

  test('by a user who may not swap any more leaves the data in use and removes its own', async () => {
    await using target = await testRedis({ settings: ['user limited on >p ~* &* +@all'] });
    await target.connection.call('SET', 'text', 'old');
    const limited = redisSource({ ...target.address, username: 'limited', password: 'p' });
    const decision = await decide(limited, reader);
    await target.connection.call('ACL', 'SETUSER', 'limited', '-swapdb');
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('the data in use is untouched'),
    });
    expect(await get(target, 0, 'text')).toBe('old');
    await expect.poll(() => target.connection.text('INFO', 'keyspace')).not.toContain('db15');
  });

  test('into a target that does not let us replicate is compared by number of keys', async () => {
    await using target = await testRedis({ settings: ['user limited on >p ~* &* +@all -psync'] });
    await target.connection.call('SET', 'text', 'old');
    const limited = redisSource({ ...target.address, username: 'limited', password: 'p' });
    const outcome = await (await decide(limited, reader)).execute(quiet, signal);
    expect(outcome.restored).toMatchObject(
      [/^db0: 21 keys: /, /^db3: 2 keys: /].map((one) => expect.stringMatching(one)),
    );
    const found = await fingerprintOf(target, reader.recordedFingerprint);
    const inPlace = { ...found, items: found.items.filter(({ name }) => !name.startsWith('db15')) };
    expect(compareFingerprints(reader.recordedFingerprint!, inPlace, now())).toEqual([]);
  });

  test('is refused by a replica, whose data would be lost again', async () => {
    await using target = await testRedis({ settings: [`replicaof 127.0.0.1 ${origin.address.port}`] });
    const decision = await decide(source, reader, { to: urlOf(target) });
    expect(decision.findings).toContainEqual(expect.objectContaining({ aspect: 'role', outcome: 'failed' }));
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
  });

  test('takes no credentials in the name of a target', async () => {
    await expect(decide(source, reader, { to: 'redis://:geheim@127.0.0.1:1' })).rejects.toSatisfy(
      (error) => (error as { code: string }).code === 'USAGE' && !String(error).includes('geheim'),
    );
  });

  test('in a sandbox has the fingerprint of the recovery point', async () => {
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    {
      await using sandbox = await source.restore.sandbox(reader, signal);
      await sandbox.restore(reader, signal);
      expect(compareFingerprints(reader.recordedFingerprint!, await sandbox.fingerprint(signal), now())).toEqual([]);
    }
  });

  test('in a sandbox too old for the data is inconclusive, not failed', async () => {
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    const newer = {
      ...reader,
      async *read() {
        yield Buffer.concat([Buffer.from('REDIS0099'), Buffer.alloc(100)]);
      },
    };
    await using sandbox = await source.restore.sandbox(newer, signal);
    await expect(sandbox.restore(newer, signal)).rejects.toMatchObject({ code: 'INCONCLUSIVE' });
  });

  test('of a database that the recovery point lacks is refused instead of emptying it', async () => {
    await using target = await testRedis();
    await target.connection.call('SELECT', 7);
    await target.connection.call('SET', 'mine', 'x');
    const decision = await decide(source, reader, { to: urlOf(target), include: ['db7'] });
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    expect(await get(target, 7, 'mine')).toBe('x');
  });

  test('in a sandbox names the package when there is no server program', async () => {
    const other = redisSource({ ...origin.address, serverProgram: 'no-such-redis-server' });
    if (other.restore.kind !== 'service') throw new Error('redis is a service');
    await expect(other.restore.sandbox(reader, signal)).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  });

  test('of a cut dump fails in a sandbox', async () => {
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    const bytes = reader.files.get(dumpPath)!;
    const cut = {
      ...reader,
      async *read() {
        yield bytes.subarray(0, bytes.length - 50);
      },
    };
    await using sandbox = await source.restore.sandbox(cut, signal);
    await expect(sandbox.restore(cut, signal)).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  });
});
