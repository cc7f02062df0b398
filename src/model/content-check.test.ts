import { expect, test } from 'vitest';
import { isInRange } from './content-check.ts';

test.each([
  [5, { min: 5, max: 5 }, true],
  ['7', { min: 5 }, true],
  [4, { min: 5 }, false],
  ['abc', { min: 0 }, false],
  ['', { min: 0 }, false],
  ['', { max: 10 }, false],
  // eslint-disable-next-line unicorn/no-null -- What a database answers where there is no value.
  [null, { max: 10 }, false],
  [undefined, { max: 10 }, false],
  ['20261101', { equals: '20261101' }, true],
  ['20261101', { equals: 20_261_101 }, true],
  ['100.00', { equals: 100 }, true],
  ['100.01', { equals: 100 }, false],
  ['', { equals: 0 }, false],
  ['9007199254740993', { equals: '9007199254740992' }, false],
  [true, {}, true],
  [false, {}, false],
  ['0', {}, false],
  ['', {}, false],
  ['ready', {}, true],
])('%j in %j: %s', (value, range, isIn) => {
  expect(isInRange(value, range)).toBe(isIn);
});
