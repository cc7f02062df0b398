// No server here writes the encodings of Redis 6 and before, but Redis 7 still reads them: each value is made by hand,
// restored into a real server, which repacks it, and must have the same fingerprint as what the server then sends.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { restorePayload } from '../../src/sources/redis/key-writer.ts';
import { RdbCheck } from '../../src/sources/redis/rdb-check.ts';
import { summaryOf } from '../../src/sources/redis/redis-sandbox.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function rdbString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(5, 0x80);
  length.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
}

/** Entries as encoding and data; lengths of the one before are added. */
function ziplist(...entries: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let previous = 0;
  let tail = 10;
  for (const [index, entry] of entries.entries()) {
    const back = previous < 254 ? Buffer.of(previous) : Buffer.of(254, previous & 255, previous >> 8, 0, 0);
    parts.push(back, entry);
    if (index > 0) tail += previous;
    previous = back.length + entry.length;
  }
  const header = Buffer.alloc(10);
  header.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, 11),
    0,
  );
  header.writeUInt32LE(tail, 4);
  header.writeUInt16LE(entries.length, 8);
  return Buffer.concat([header, ...parts, Buffer.of(0xff)]);
}

const short = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
const medium = Buffer.concat([Buffer.of(0x41, 0x2c), Buffer.alloc(300, 'm')]);
const large = Buffer.concat([Buffer.of(0x80, 0, 0, 0x50, 0), Buffer.alloc(0x5000, 'l')]);
const integers = [
  hex('f1'),
  hex('fd'),
  hex('fef9'),
  hex('c0d4fe'),
  hex('f0701101'),
  hex('d000943577'),
  hex('e0ffffffffffffff7f'),
];
const everything = ziplist(short('a'), medium, ...integers, large, short(''));

const values: Record<string, readonly [number, Buffer]> = {
  'list of a ziplist': [10, rdbString(everything)],
  'list of ziplists': [14, Buffer.concat([Buffer.of(2), rdbString(everything), rdbString(ziplist(short('b')))])],
  'hash of a ziplist': [13, rdbString(ziplist(short('f'), hex('f5'), short('g'), medium))],
  'sorted set of a ziplist': [
    12,
    rdbString(ziplist(short('m'), hex('c0d4fe'), short('n'), short('1.5'), short('o'), short('inf'))),
  ],
  'hash of a zipmap': [9, rdbString(hex('02 01 66 03 02 616263 0000 02 6767 00 00 ff'))],
  'sorted set with scores as text': [
    3,
    Buffer.concat([Buffer.of(4), hex('0161 03 312e35 0162 fe 0163 ff 0164 02 2d30')]),
  ],
  'plain list': [1, hex('02 0161 c0fb')],
  'plain set': [2, hex('02 0161 c1d4fe')],
  'plain hash': [4, hex('01 0166 c27111 0100')],
  'set of 8-byte integers': [11, rdbString(hex('08000000 02000000 feffffffffffffff 00f2052a01000000'))],
};

describeWith(['redis-server'], 'values in the encodings of old servers', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await testRedis({ settings: ['sanitize-dump-payload yes'] });
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test.each(Object.entries(values))(
    'a %s has the fingerprint it has after Redis repacked it',
    async (_, [type, value]) => {
      const check = new RdbCheck();
      check.push(
        Buffer.concat([Buffer.from('REDIS0009'), Buffer.of(type, 1, 0x6b), value, Buffer.alloc(9).fill(255, 0, 1)]),
      );
      const { fingerprint, unread } = check.finish();
      expect(unread).toBeUndefined();
      await redis.connection.call('FLUSHALL');
      await redis.connection.call('RESTORE', 'k', 0, restorePayload([Buffer.of(type), value], 9));
      expect((await summaryOf(redis.address, signal, undefined)).fingerprint).toEqual(fingerprint);
    },
  );
});
