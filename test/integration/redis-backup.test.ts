import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { RdbCheck } from '../../src/sources/redis/rdb-check.ts';
import { requestDump } from '../../src/sources/redis/replication-client.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { dumpPath } from '../../src/sources/redis/redis-session.ts';
import { describeSource } from '../../src/sources/source-contract.ts';
import { record } from '../support/recorded-reader.ts';
import { fillRedis } from '../support/redis-data.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const inADayMs = () => new Date().getTime() + 86_400_000;

async function dumpOf(redis: TestRedis): Promise<Buffer> {
  await using dump = await requestDump(redis.address, signal);
  return Buffer.concat(await Array.fromAsync(dump.bytes()));
}

async function fingerprintOf(redis: TestRedis) {
  const check = new RdbCheck();
  check.push(await dumpOf(redis));
  const { fingerprint, unread } = check.finish();
  expect(unread).toBeUndefined();
  return fingerprint!;
}

describeWith(['redis-server'], 'the redis source', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await testRedis({
      settings: ['requirepass "a secret"', 'user limited on >other +psync +replconf +ping +info'],
      password: 'a secret',
    });
    await fillRedis(redis.connection, inADayMs());
    await redis.connection.call(
      'FUNCTION',
      'LOAD',
      "#!lua name=mine\nredis.register_function('f', function() return 1 end)",
    );
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  describeSource('redis', () => redisSource(redis.address), {
    unreachable: () => redisSource({ host: '127.0.0.1', port: 1 }),
  });

  test('the dump is one that redis-check-rdb finds good', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'dump.rdb');
    writeFileSync(path, await dumpOf(redis));
    expect(execFileSync('redis-check-rdb', [path], { encoding: 'utf8' })).toContain('RDB looks OK');
  });

  test('the checksum of the server is verified and every type is counted', async () => {
    const { recordedFacts: facts } = await record(redisSource(redis.address), signal);
    expect(facts).toMatchObject({ rdbChecksum: 'verified', role: 'master', appendOnly: false });
    expect(facts['keys']).toEqual({
      db0: { hash: 4, list: 2, set: 3, stream: 2, string: 8, zset: 2 },
      db3: { string: 2 },
    });
  });

  test('the same data has the same fingerprint in other encodings, without checksum, and sent by way of a file', async () => {
    await using other = await testRedis({
      settings: [
        ...['hash', 'zset'].map((type) => `${type}-max-listpack-entries 0`),
        'set-max-intset-entries 0',
        'list-max-listpack-size 3',
        'stream-node-max-entries 7',
        'rdbcompression no',
        'rdbchecksum no',
        'repl-diskless-sync no',
      ],
    });
    const expiresAtMs = Number(await redis.connection.text('PEXPIRETIME', 'expiring:text'));
    await fillRedis(other.connection, expiresAtMs);
    await copyTimes(redis, other);
    const expected = await fingerprintOf(redis);
    const found = await fingerprintOf(other);
    const items = expected.items.filter(({ name }) => name !== 'functions' && !isClockBound(name));
    expect(items.length).toBeGreaterThan(7);
    expect(found.items.filter(({ name }) => !isClockBound(name))).toEqual(items);
  });

  test('one field changed in one hash shows as a changed item', async () => {
    const before = await fingerprintOf(redis);
    await redis.connection.call('HSET', 'large hash', 'field 5', 'changed');
    const after = await fingerprintOf(redis);
    await redis.connection.call('HSET', 'large hash', 'field 5', '5');
    expect(compareFingerprints(before, after)).toEqual([
      { name: 'db0 hash', kind: 'changed', rowsExpected: 3, rowsFound: 3 },
    ]);
    expect(compareFingerprints(before, await fingerprintOf(redis))).toEqual([]);
  });

  test('a user with the four rights named in the hint is enough', async () => {
    const reader = await record(redisSource({ ...redis.address, username: 'limited', password: 'other' }), signal);
    expect(reader.files.get(dumpPath)?.toString('latin1', 0, 5)).toBe('REDIS');
  });

  test.each([
    ['a wrong password', { password: 'planted' }],
    ['no password', { password: undefined }],
  ])('%s is refused without showing it', async (_, change) => {
    const error = await record(redisSource({ ...redis.address, ...change }), signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SOURCE_DENIED', hint: expect.stringContaining('password') });
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('planted');
  });

  test('a user without the right to replicate is told which rights are missing', async () => {
    await redis.connection.call('ACL', 'SETUSER', 'reader', 'on', '>p', '~*', '+ping', '+info', '+replconf');
    const reader = redisSource({ ...redis.address, username: 'reader', password: 'p' });
    await expect(record(reader, signal)).rejects.toMatchObject({
      code: 'SOURCE_DENIED',
      hint: expect.stringContaining('+psync +replconf +ping'),
    });
  });

  test('the check says what the append-only file means', async () => {
    const findings = await Array.fromAsync(redisSource(redis.address).check(signal));
    expect(findings).toContainEqual(expect.objectContaining({ aspect: 'persistence', outcome: 'passed' }));
    expect(findings).toContainEqual({
      aspect: 'access rights',
      outcome: 'passed',
      message: 'user default may replicate',
    });
  });

  test('keys are counted by pattern in a sandbox, over all databases', async () => {
    const source = redisSource(redis.address);
    const reader = await record(source, signal);
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    await using sandbox = await source.restore.sandbox(reader, signal);
    await sandbox.restore(reader, signal);
    expect(await sandbox.valueOf({ keys: 'large *' }, signal)).toBe(3);
    expect(await sandbox.valueOf({ keys: '*' }, signal)).toBe(23);
    await expect(sandbox.valueOf({ sql: 'select 1' }, signal)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

/** Streams hold times of delivery, which two servers can't share. */
const isClockBound = (name: string) => name.endsWith(' stream');

/** Absolute expiries are data: give both servers the same. */
async function copyTimes(from: TestRedis, to: TestRedis): Promise<void> {
  for (const redis of [from, to]) await redis.connection.call('SELECT', 3);
  const expiry = await from.connection.text('PEXPIRETIME', 'stays long');
  await to.connection.call('PEXPIREAT', 'stays long', expiry);
  for (const redis of [from, to]) await redis.connection.call('SELECT', 0);
}

/** Passes `limitBytes` of the server's answers on, then hangs up. */
async function breakingProxy(port: number, limitBytes: number) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    let left = limitBytes;
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, Math.max(0, left)));
      left -= chunk.length;
      if (left <= 0) client.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describeWith(['redis-server'], 'a dump over a broken connection', () => {
  test.each([150, 5000, 90_000])('ends with SOURCE_FAILED when it is cut after %d bytes', async (limitBytes) => {
    const random = seededRandom(1);
    await using redis = await testRedis();
    await redis.connection.call('SET', 'random', Buffer.from(Array.from({ length: 200_000 }, () => random() * 256)));
    await using proxy = await breakingProxy(redis.address.port, limitBytes);
    const read = async () => {
      await using dump = await requestDump({ host: '127.0.0.1', port: proxy.port }, signal);
      return await Array.fromAsync(dump.bytes());
    };
    await expect(read()).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
  });

  test('ends at once when it is aborted', async () => {
    await using redis = await testRedis();
    await redis.connection.call('SET', 'big', Buffer.alloc(30_000_000, 'ab3'));
    const controller = new AbortController();
    await using dump = await requestDump(redis.address, controller.signal);
    const read = Array.fromAsync(dump.bytes(), () => controller.abort(new Error('enough')));
    await expect(read).rejects.toThrow('enough');
  });
});
