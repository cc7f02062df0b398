import { expect, test } from 'vitest';
import { RepeatedWarnings } from './repeated-warnings.ts';

test('what lasts is told once a minute, and something else at once', () => {
  const warnings = new RepeatedWarnings();
  const told = [0, 100, 59_999, 60_000, 60_100].map((atMs) => warnings.isNews('the catalog is away', atMs));
  expect(told).toEqual([true, false, false, true, false]);
  expect(warnings.isNews('the disk is full', 60_100)).toBe(true);
});
