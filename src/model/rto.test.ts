import fc from 'fast-check';
import { expect, test } from 'vitest';
import { restoreTimeOf, rtoStateOf, type TimedRestore } from './rto.ts';

const restore = (atMs: number, tookMs: number, restoredBytes = 1000): TimedRestore => ({ atMs, tookMs, restoredBytes });

test('what was never restored is unknown, what nobody promised is nothing', () => {
  expect(restoreTimeOf([], 1000)).toBeUndefined();
  expect(rtoStateOf(undefined, 60_000)).toBe('unknown');
  expect(rtoStateOf(undefined, undefined)).toBe('none');
});

test('the newest restore counts, and three of them make a forecast', () => {
  const two = [restore(2, 5000), restore(1, 9000)];
  expect(restoreTimeOf(two, 1000)).toEqual({ lastMs: 5000, atMs: 2, forecast: undefined });
  expect(restoreTimeOf([...two, restore(3, 4000)], 1000)?.forecast).toEqual({ lowMs: 4000, highMs: 9000, restores: 3 });
});

test('more data takes longer, less data no shorter, and old restores are forgotten', () => {
  const three = [restore(1, 4000), restore(2, 5000, 2000), restore(3, 6000)];
  expect(restoreTimeOf(three, 4000)?.forecast).toMatchObject({ lowMs: 10_000, highMs: 24_000 });
  expect(restoreTimeOf(three, 10)?.forecast).toMatchObject({ lowMs: 4000, highMs: 6000 });
  const many = [restore(0, 99_000), ...Array.from({ length: 10 }, (_, at) => restore(at + 1, 1000 + at))];
  expect(restoreTimeOf(many, 1000)?.forecast).toEqual({ lowMs: 1000, highMs: 1009, restores: 10 });
});

test.each([
  [[4000, 5000, 6000], 6000, 'met'],
  [[4000, 7000, 5000], 6000, 'at_risk'],
  [[4000, 5000, 7000], 6000, 'breached'],
  [[7000], 6000, 'breached'],
  [[6000], 6000, 'met'],
])('restores of %j ms against %d ms: %s', (took, rtoMs, state) => {
  const restores = took.map((tookMs, at) => restore(at, tookMs));
  expect(rtoStateOf(restoreTimeOf(restores, 1000), rtoMs)).toBe(state);
});

test('a forecast holds the last restore where nothing grew', () => {
  const times = fc.array(fc.nat(1_000_000), { minLength: 3, maxLength: 20 });
  fc.assert(
    fc.property(times, (took) => {
      const found = restoreTimeOf(
        took.map((tookMs, at) => restore(at, tookMs)),
        1000,
      );
      expect(found?.forecast?.lowMs).toBeLessThanOrEqual(found?.lastMs ?? -1);
      expect(found?.forecast?.highMs).toBeGreaterThanOrEqual(found?.lastMs ?? Infinity);
    }),
  );
});
