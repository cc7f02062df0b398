import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../test/support/only-app-errors.ts';
import { AppError } from '../../base/errors.ts';
import { RdbCheck, type RdbSummary } from './rdb-check.ts';
import { rdbReader } from './rdb-reader.ts';

/** What Redis 7.0.15 sent for a few keys of each type, a function and an expiry in 2030. */
const golden = Buffer.from(
  `UkVESVMwMDEw+glyZWRpcy12ZXIGNy4wLjE1+gpyZWRpcy1iaXRzwED6BWN0aW1lwoScAGv6CHVzZWQtbWVtwiiIEwD6DnJlcGwt
c3RyZWFtLWRiwAD6B3JlcGwtaWQoN2UyZWI0YzU0ZTk0NjVlMjUxZTc4MzgzMDAwNTQ5Y2FjMjFlYmY0ZfoLcmVwbC1vZmZzZXTA
APoIYW9mLWJhc2XAAPVAQiMhbHVhIG5hbWU9bQpyZWRpcy5yZWdpc3Rlcl9mdW5jdGlvbignZicsIGZ1bmN0aW9uKCkgcmV0dXJu
IDEgZW5kKf4A+wkBEARoYXNoDAwAAAACAIFmAgEB/xEEenNldBgYAAAABACBbgKELWluZgWBbQKDMS41BP8ABHRleHTDCkBQAmEg
YeBCAQFhIAsEaW50cxAEAAAAAgAAAAEAAABwEQEA/AA402C6AQAAAARzb29uAXgSBGxpc3QBAhcXAAAAAwCBYQLf+wL0AQAAAAAA
IAAJ/xMGZXZlbnRzARAAAAAAAAAABQAAAAAAAAABMzMAAAATAAIBAAEBAYFrAgABAgEAAQABgXYCBAEAAQEBAAECAYFrAoF3AoFs
AoF4AggB/wIGAQUBAAACAQFnBQGB//////////8AAAIFd29yZHMBA29uZQAGbnVtYmVywpDu/v/+AvsBAAABawF2/+9HtOr7d3kN`,
  'base64',
);

function checkOf(bytes: Buffer, pieceBytes = bytes.length): RdbSummary {
  const check = new RdbCheck();
  for (let at = 0; at < bytes.length; at += pieceBytes) check.push(bytes.subarray(at, at + pieceBytes));
  return check.finish();
}

test('a file of Redis 7 is read to its end and its checksum verified', () => {
  expect(checkOf(golden)).toMatchObject({
    version: 10,
    checksum: 'verified',
    counts: { db0: { hash: 1, list: 1, set: 2, stream: 1, string: 3, zset: 1 }, db2: { string: 1 } },
    unread: undefined,
  });
});

test('keys, their databases and their expiry come out as they were', () => {
  const records = rdbReader({ captures: true }).push(golden);
  const keys = records.flatMap((record) => (record.kind === 'key' ? [record] : []));
  expect(keys.map(({ database, key, type }) => `${database} ${key.toString()} ${type}`)).toEqual([
    '0 hash hash',
    '0 zset zset',
    '0 text string',
    '0 ints set',
    '0 soon string',
    '0 list list',
    '0 events stream',
    '0 words set',
    '0 number string',
    '2 k string',
  ]);
  expect(keys.filter(({ expiresAtMs }) => expiresAtMs !== undefined)).toMatchObject([
    { expiresAtMs: 1_900_000_000_000 },
  ]);
  expect(Buffer.concat(keys.at(-1)?.serialized ?? [])).toEqual(Buffer.from('000176', 'hex'));
});

test('the fingerprint does not depend on where the bytes are split', () => {
  const whole = checkOf(golden);
  for (let pieceBytes = 1; pieceBytes < 60; pieceBytes += 1) expect(checkOf(golden, pieceBytes)).toEqual(whole);
});

test('keys that expire are an item of their own that says from when on they may be gone', () => {
  const { fingerprint } = checkOf(golden);
  expect(fingerprint?.items.map(({ name, rows }) => `${name}: ${rows}`)).toEqual([
    'db0 hash: 1',
    'db0 list: 1',
    'db0 set: 2',
    'db0 stream: 1',
    'db0 string: 2',
    'db0 string expiring within 1 h of 2030-03-17T17:00: 1',
    'db0 zset: 1',
    'db2 string: 1',
    'functions: 1',
  ]);
  expect(fingerprint?.items[5]?.expiresAtMs).toBe(1_900_000_000_000);
});

test('any one byte altered is noticed', () => {
  fc.assert(
    fc.property(fc.nat(golden.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const altered = Buffer.from(golden);
      altered[at] = altered.readUInt8(at) ^ change;
      expect(() => checkOf(altered)).toThrow(AppError);
    }),
    { numRuns: 1000 },
  );
});

test('a file cut short anywhere is noticed, also without a checksum', () => {
  const unsummed = Buffer.from(golden).fill(0, golden.length - 8);
  expect(checkOf(unsummed).checksum).toBe('none');
  for (let end = 0; end < golden.length; end += 1) {
    expect(() => checkOf(golden.subarray(0, end))).toThrow(AppError);
    expect(() => checkOf(unsummed.subarray(0, end))).toThrow(AppError);
  }
});

test('bytes after the end are noticed', () => {
  const unsummed = Buffer.from(golden).fill(0, golden.length - 8);
  expect(() => checkOf(Buffer.concat([unsummed, Buffer.alloc(1)]))).toThrow(AppError);
});

test('a value type of a newer server leaves the file whole, without a fingerprint and with the reason', () => {
  const newer = Buffer.concat([Buffer.from('REDIS0099'), Buffer.from([99, 1, 0x6b, 1, 2, 3, 0xff]), Buffer.alloc(8)]);
  expect(checkOf(newer)).toMatchObject({
    version: 99,
    fingerprint: undefined,
    unread: expect.stringContaining('type 99'),
  });
});

test('a type unknown at the end of much else is known by then, and what was read before is not taken for all', () => {
  const cutTail = golden.subarray(0, golden.length - 9);
  const newer = Buffer.concat([cutTail, Buffer.from([99, 1, 0x6b, 1, 2, 3, 0xff]), Buffer.alloc(8)]);
  for (const pieceBytes of [1, 100, newer.length]) {
    expect(checkOf(newer, pieceBytes)).toMatchObject({ counts: {}, fingerprint: undefined, checksum: 'none' });
  }
});

test('any bytes after a header make the reader yield or throw our error, however they are split', () => {
  const starts = [...golden.keys()].filter((at) => at >= 9);
  const tail = fc.tuple(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 1, max: 50 }));
  fc.assert(
    fc.property(tail, ([at, noise, pieceBytes]) => {
      const bytes = Buffer.concat([golden.subarray(0, at), noise, golden.subarray(at + noise.length)]);
      expect(() => onlyAppErrors(() => checkOf(bytes, pieceBytes))).not.toThrow();
    }),
    { numRuns: 3000 },
  );
});
