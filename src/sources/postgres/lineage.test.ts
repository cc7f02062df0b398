import { expect, test } from 'vitest';
import { ancestorHistory, isAncestor, lineageOf, readTimelineBranch, timelineBranch } from './lineage.ts';

const systemIdentifier = '7394000000000000001';
const second = Buffer.from('1\t0/3000060\tno recovery target specified\n');
const third = Buffer.from(`${second.toString()}\n2\t0/5000000\tbefore 2026-11-20 17:34:04.236886+00\n`);
const otherThird = Buffer.from('1\t0/3000060\tno recovery target specified.\n\n2\t0/5000000\tno reason\n');

test('a lineage names system, timeline and history', () => {
  expect(lineageOf({ systemIdentifier, timeline: 1, history: undefined })).toBe(
    'postgresql/7394000000000000001/00000001',
  );
  expect(lineageOf({ systemIdentifier, timeline: 2, history: second })).toMatch(
    /^postgresql\/7394000000000000001\/00000002-[0-9a-f]{12}$/,
  );
});

test('two promotions to the same number are two lineages', () => {
  const [one, other] = [third, otherThird].map((history) => lineageOf({ systemIdentifier, timeline: 3, history }));
  expect(one).not.toBe(other);
});

test('a branch says whose timeline it is', () => {
  const branch = timelineBranch({ systemIdentifier, timeline: 2, history: second, major: 15, segmentBytes: 2 ** 24 });
  expect(readTimelineBranch(branch)).toEqual({ systemIdentifier, timeline: 2, history: second.toString(), major: 15 });
  expect(readTimelineBranch({ ...branch, lineage: 'mysql/1' })).toBeUndefined();
});

test('a branch says which branches it grew out of, and where each was left', () => {
  const facts = { systemIdentifier, major: 15, segmentBytes: 2 ** 24 };
  const [first, middle] = [
    timelineBranch({ ...facts, timeline: 1, history: undefined }),
    timelineBranch({ ...facts, timeline: 2, history: second }),
  ];
  const last = timelineBranch({ ...facts, timeline: 3, history: third });
  expect(first.about['ancestors']).toEqual([]);
  expect(last.about['ancestors']).toEqual([
    { lineage: first.lineage, at: { segment: 3, offset: 0x60 } },
    { lineage: middle.lineage, at: { segment: 5, offset: 0 } },
  ]);
});

test('the history of an ancestor is the beginning of its child’s', () => {
  expect(ancestorHistory(third, 2)).toEqual(second);
  expect(ancestorHistory(third, 1)).toBeUndefined();
  expect(ancestorHistory(third, 7)).toBeUndefined();
});

test('a timeline of the same number and another history is no ancestor', () => {
  const server = { systemIdentifier, timeline: 3, history: third };
  expect(isAncestor({ timeline: 1 }, server)).toBe(true);
  expect(isAncestor({ timeline: 2, history: second.toString() }, server)).toBe(true);
  expect(isAncestor({ timeline: 2, history: '1\t0/4000000\tno recovery target specified\n' }, server)).toBe(false);
  expect(isAncestor({ timeline: 3, history: third.toString() }, server)).toBe(false);
});

test('a history that is no UTF-8 is still told apart', () => {
  const history = Buffer.from('1\t0/3000060\tca\xe9\n', 'latin1');
  const branch = timelineBranch({ systemIdentifier, timeline: 2, history, major: 15, segmentBytes: 2 ** 24 });
  const child = Buffer.concat([history, Buffer.from('\n2\t0/5000000\tx\n')]);
  const about = readTimelineBranch(branch);
  expect(about && isAncestor(about, { systemIdentifier, timeline: 3, history: child })).toBe(true);
});
