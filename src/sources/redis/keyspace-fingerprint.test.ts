import { expect, test } from 'vitest';
import { compareFingerprints } from '../../model/fingerprint.ts';
import { KeyspaceFingerprint } from './keyspace-fingerprint.ts';
import type { RdbKey } from './rdb-reader.ts';

function key(name: string, expiresAtMs?: number): RdbKey {
  const digest = Buffer.from(name);
  return {
    kind: 'key',
    database: 0,
    key: Buffer.from(name),
    type: 'string',
    expiresAtMs,
    digest,
    serialized: undefined,
  };
}

function fingerprintOf(keys: readonly RdbKey[], like?: ReturnType<KeyspaceFingerprint['result']>) {
  const keyspace = new KeyspaceFingerprint(like);
  for (const one of keys) keyspace.add(one);
  return keyspace.result();
}

const hourMs = 3_600_000;

test('equal keys in another order are equal, and two equal rows do not cancel', () => {
  const [a, b] = [key('a'), key('b')];
  expect(fingerprintOf([a, b])).toEqual(fingerprintOf([b, a]));
  expect(fingerprintOf([a, a]).items[0]?.sum).not.toBe(fingerprintOf([]).items[0]?.sum);
  expect(fingerprintOf([a, a])).not.toEqual(fingerprintOf([b, b]));
});

test('another expiry of the same key is a difference', () => {
  expect(compareFingerprints(fingerprintOf([key('a', hourMs)]), fingerprintOf([key('a', hourMs + 1)]))).toHaveLength(1);
});

test('thousands of hours are grouped wider, and a later look with fewer keys is grouped alike', () => {
  const keys = Array.from({ length: 5000 }, (_, hour) => key(`k${hour}`, hour * hourMs + 5));
  const expected = fingerprintOf(keys);
  expect(expected.method).toBe('redis-rdb-1 expiry-hours=24');
  expect(expected.items.reduce((sum, { rows }) => sum + rows, 0)).toBe(5000);
  const later = fingerprintOf(keys.slice(4000), expected);
  expect(later.method).toBe(expected.method);
  expect(compareFingerprints(expected, later, 4000 * hourMs)).toEqual([]);
  const lost = fingerprintOf(keys.slice(4000, -1), expected);
  expect(compareFingerprints(expected, lost, 4000 * hourMs)).toHaveLength(1);
});

test('instants beyond any calendar and before 1970 have a group', () => {
  const names = fingerprintOf([key('a', 9e18), key('b', -5)]).items.map(({ name }) => name);
  expect(new Set(names).size).toBe(2);
});
