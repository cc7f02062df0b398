import { expect, test } from 'vitest';
import { MadeWal, madeWalOptions } from '../../../../test/support/made-wal.ts';
import { type ExpectedSegment, segmentProblem } from './segment-header.ts';

const expected: ExpectedSegment = { ...madeWalOptions, segment: 0x1003 };

function start(): Buffer {
  const wal = new MadeWal();
  wal.commit(1n);
  return wal.bytes;
}

test('the expected segment has no problem, also as the first of a timeline', () => {
  expect(segmentProblem(start(), expected)).toBeUndefined();
  expect(segmentProblem(start(), { ...expected, timeline: 4 })).toBeUndefined();
});

test.each([
  [{ major: 14 }, 'its WAL is of PostgreSQL 18, not of 14'],
  [{ systemIdentifier: 5n }, 'it belongs to the system 7394000000000000001, not to 5'],
  [{ segmentBytes: 2 ** 24 }, 'its segments have 1048576 bytes, not 16777216'],
  [{ segment: 0x1004 }, 'it begins at 1/300000, not at 1/400000'],
  [{ timeline: 2 }, 'it belongs to timeline 3, not to 2'],
])('another segment is told from it: %o', (change, problem) => {
  expect(segmentProblem(start(), { ...expected, ...change })).toBe(problem);
});

test.each([
  [0, 'a WAL page begins with 0, which is not the mark of PostgreSQL 18'],
  [2, 'its first page lacks the header of a segment'],
  [36, 'its WAL pages have 0 bytes, not 8192'],
])('a header that is zero at %i is refused', (at, problem) => {
  expect(segmentProblem(start().fill(0, at, at + (at === 36 ? 4 : 2)), expected)).toBe(problem);
});

test('bytes too few for a header are refused', () => {
  expect(segmentProblem(Buffer.alloc(39), expected)).toBe('only 39 bytes, too few for the header of a segment');
});
