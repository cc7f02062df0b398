import { expect, test } from 'vitest';
import { nearestOf } from './nearest.ts';

test.each([
  ['pasword', 'password'],
  ['hots', 'host'],
  ['Retention', 'retention'],
  ['excludelargerthen', 'excludeLargerThan'],
  ['zzz', undefined],
  ['', undefined],
])('for %j the nearest key is %j', (word, nearest) => {
  const known = ['password', 'host', 'retention', 'excludeLargerThan'];
  expect(nearestOf(word, known)).toBe(nearest);
});

test('stays fast for absurdly long words', () => {
  expect(nearestOf('x'.repeat(100_000), ['host'])).toBeUndefined();
});
