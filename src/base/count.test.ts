import { expect, test } from 'vitest';
import { count } from './count.ts';

test('one is told from many, and thousands are parted', () => {
  expect([0, 1, 2, 1200].map((number) => count(number, 'file'))).toEqual([
    '0 files',
    '1 file',
    '2 files',
    '1,200 files',
  ]);
  expect([1, 2].map((number) => count(number, 'entry', 'entries'))).toEqual(['1 entry', '2 entries']);
});
