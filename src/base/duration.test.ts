import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAge, formatAtMost, formatDuration, parseDuration } from './duration.ts';

const hour = 3_600_000;

describe('parseDuration', () => {
  test.each([
    ['36h', 36 * hour],
    ['2 weeks', 336 * hour],
    ['1 week', 168 * hour],
    ['15m', hour / 4],
    ['1d12h', 36 * hour],
    ['1 day 12 hours', 36 * hour],
    ['1.5h', 1.5 * hour],
    ['90 s', 90_000],
    ['250ms', 250],
    ['0s', 0],
    ['PT4H30M', 4.5 * hour],
    ['P1DT12H', 36 * hour],
    ['P2W', 336 * hour],
    [' 5 Minutes ', 300_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    '5',
    'h',
    '-5m',
    '1h 2h',
    '12h1d',
    '1 month',
    'P1M',
    'P1Y',
    '-PT1H',
    '5 parsecs',
    '1e3h',
    '1,5h',
    'P',
    '9'.repeat(30) + 'w',
  ])('refuses "%s"', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe('formatDuration', () => {
  test.each([
    [4 * hour + 3 * 60_000 + 59_000, '4h 3m'],
    [59_999, '59s 999ms'],
    [0, '0s'],
    [15 * 24 * hour, '15d'],
    [24 * hour - 1, '23h 59m'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('loses nothing when all units are asked for', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
        expect(parseDuration(formatDuration(ms, { unitsMax: Infinity }))).toBe(ms);
      }),
    );
  });

  test('never says more time than there was', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
        const said = parseDuration(formatDuration(ms)) ?? Number.NaN;
        expect(said).toBeLessThanOrEqual(ms);
        expect(formatDuration(said)).toBe(formatDuration(ms));
      }),
    );
  });
});

test.each([
  [60_620, '1m'],
  [61_620, '1m 1s'],
  [3 * hour + 12 * 60_000 + 59_999, '3h 12m'],
  [2 * 24 * hour + 4 * hour, '2d 4h'],
  [24 * hour + 20_000, '1d'],
  [999, '0s'],
  [15 * 24 * hour + 61_000, '15d'],
])('an age of %d ms reads %s: two units next to each other, no milliseconds', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test.each([
  [24 * hour + 30, '1d 1m'],
  [24 * hour + 20 * 60_000, '1d 20m'],
  [4 * hour, '4h'],
  [4 * 60_000 + 1, '4m 1s'],
  [5000, '5s'],
])('what may be as long as %d ms reads %s: never less than it is', (ms, text) => {
  expect(formatAtMost(ms)).toBe(text);
});
