import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { summaryOf } from '../../src/sources/redis/redis-sandbox.ts';
import { record } from '../support/recorded-reader.ts';
import { fillAtRandom } from '../support/redis-random-data.ts';
import { testRedis } from '../support/redis-server.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();

/** Encodings as unlike the defaults as the settings allow. */
const unlike = [
  'hash-max-listpack-entries 3',
  'hash-max-listpack-value 5',
  'zset-max-listpack-entries 4',
  'set-max-intset-entries 2',
  'list-max-listpack-size 2',
  'list-compress-depth 1',
  'rdbcompression no',
];

describeWith(['redis-server'], 'random data', () => {
  const seed = randomInt(2 ** 31);

  test(`of seed ${seed} is equal after a reload, after a restore into other encodings, and in a sandbox`, async () => {
    await using origin = await testRedis({ settings: ['enable-debug-command local'] });
    await fillAtRandom(origin.connection, seededRandom(seed), 6000);
    const source = redisSource(origin.address);
    const reader = await record(source, signal);
    const expected = reader.recordedFingerprint!;
    expect(reader.recordedFacts['rdbChecksum']).toBe('verified');
    expect(new Set(expected.items.map(({ name }) => name.split(' ')[1]))).toEqual(
      new Set(['hash', 'list', 'set', 'stream', 'string', 'zset']),
    );

    await origin.connection.call('DEBUG', 'RELOAD');
    const reloaded = await summaryOf(origin.address, signal, expected);
    expect(compareFingerprints(expected, reloaded.fingerprint!)).toEqual([]);

    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    await using other = await testRedis({ settings: unlike });
    const to = `redis://127.0.0.1:${other.address.port}`;
    const decision = await source.restore.decide(reader, { to, include: [] }, signal);
    await decision.execute({ step: () => undefined, bytes: () => undefined }, signal);
    const restored = await summaryOf(other.address, signal, expected);
    expect(compareFingerprints(expected, restored.fingerprint!)).toEqual([]);

    await using sandbox = await source.restore.sandbox(reader, signal);
    await sandbox.restore(reader, signal);
    expect(compareFingerprints(expected, await sandbox.fingerprint(signal))).toEqual([]);
  });
});
