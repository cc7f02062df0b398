import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLsn, lsnOf, parseLsn, positionOf } from './lsn.ts';
import { historyName, isSegmentSize, parseWalFileName, segmentName } from './segment-name.ts';

const sizes = fc.integer({ min: 20, max: 30 }).map((power) => 2 ** power);
const lsns = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('LSNs are written as the server writes them', () => {
  expect(formatLsn(0n)).toBe('0/0');
  expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848');
  expect(formatLsn(0x4000028n)).toBe('0/4000028');
  expect(parseLsn('0/04000028')).toBe(0x4000028n);
  for (const text of ['', '0', '0/', '/0', '1/123456789', '0/0 ', 'g/0', '-1/0'])
    expect(parseLsn(text)).toBeUndefined();
});

test('every LSN survives its text and its position in a journal', () => {
  fc.assert(
    fc.property(lsns, sizes, (lsn, segmentBytes) => {
      expect(parseLsn(formatLsn(lsn))).toBe(lsn);
      const position = positionOf(lsn, segmentBytes);
      expect(Number.isSafeInteger(position.segment) && position.offset < segmentBytes).toBe(true);
      expect(lsnOf(position, segmentBytes)).toBe(lsn);
    }),
  );
});

test('names of segments are those of the server', () => {
  expect(segmentName(1, 1, 2 ** 24)).toBe('000000010000000000000001');
  expect(segmentName(0x1a, 0x2_55, 2 ** 24)).toBe('0000001A0000000200000055');
  expect(segmentName(1, 4096, 2 ** 20)).toBe('000000010000000100000000');
  expect(segmentName(1, 7, 2 ** 30)).toBe('000000010000000100000003');
  expect(historyName(10)).toBe('0000000A.history');
});

test('every name is read back as what it was made of', () => {
  fc.assert(
    fc.property(lsns, sizes, fc.integer({ min: 1, max: 2 ** 32 - 1 }), (lsn, segmentBytes, timeline) => {
      const { segment, offset } = positionOf(lsn, segmentBytes);
      const name = segmentName(timeline, segment, segmentBytes);
      expect(parseWalFileName(name, segmentBytes)).toEqual({ kind: 'segment', timeline, segment });
      expect(parseWalFileName(`${name}.partial`, segmentBytes)).toEqual({ kind: 'partial', timeline, segment });
      const backup = `${name}.${offset.toString(16).toUpperCase().padStart(8, '0')}.backup`;
      expect(parseWalFileName(backup, segmentBytes)).toEqual({ kind: 'backup-history', timeline, segment, offset });
      expect(parseWalFileName(historyName(timeline), segmentBytes)).toEqual({ kind: 'history', timeline });
    }),
  );
});

test.each([
  '000000000000000000000001',
  '000000010000000000000100',
  '00000001000000000000000a',
  '00000001000000000000000',
  '000000010000000000000001.gz',
  '000000010000000000000001.01000000.backup',
  '00000000.history',
  '0000000a.history',
  '../00000001.history',
  '',
])('the name %j is none of a server with segments of 16 MiB', (name) => {
  expect(parseWalFileName(name, 2 ** 24)).toBeUndefined();
});

test('segments have the sizes that initdb allows', () => {
  expect([2 ** 20, 2 ** 24, 2 ** 30].every(isSegmentSize)).toBe(true);
  expect([2 ** 19, 2 ** 31, 3 * 2 ** 20, 0, Number.NaN].some(isSegmentSize)).toBe(false);
});
