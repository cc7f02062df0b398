import { expect, test } from 'vitest';
import type { ProbeOutcome } from './probe.ts';
import { availabilityOf, latencyQuantile, outagesOf } from './availability.ts';

const hour = { up: 0, degraded: 0, down: 0, unknown: 0 };

test('what is degraded works, and what nobody saw counts neither way', () => {
  const hours = [
    { ...hour, up: 50, degraded: 9, down: 1 },
    { ...hour, down: 0, unknown: 60 },
  ];
  const { percent, unknownPercent, looks } = availabilityOf(hours);
  expect(percent).toBeCloseTo(98.33, 2);
  expect([unknownPercent, looks]).toEqual([50, 120]);
  expect(availabilityOf([{ ...hour, unknown: 3 }]).percent).toBeUndefined();
});

test('a quantile is the bound that so many answers stayed within', () => {
  const bounds = [10, 100, 1000];
  expect(latencyQuantile([[90, 5, 4, 1]], bounds, 0.9)).toBe(10);
  expect(latencyQuantile([[90, 5, 4, 1]], bounds, 0.95)).toBe(100);
  expect(
    latencyQuantile(
      [
        [45, 0, 4],
        [45, 5, 0, 1],
      ],
      bounds,
      0.99,
    ),
  ).toBe(1000);
  expect(latencyQuantile([[90, 5, 4, 1]], bounds, 1)).toBe(Infinity);
  expect(latencyQuantile([], bounds, 0.5)).toBeUndefined();
});

test('an outage lasts until it works again, seen or not in between, and one that goes on does not count', () => {
  const changes = (...all: [atMs: number, outcome: ProbeOutcome][]) =>
    all.map(([atMs, outcome]) => ({ atMs, outcome }));
  expect(
    outagesOf(changes([10, 'up'], [20, 'down'], [50, 'up'], [60, 'down'], [70, 'unknown'], [80, 'degraded'])),
  ).toEqual({
    outages: 2,
    meanRecoveryMs: 25,
  });
  expect(outagesOf(changes([20, 'down'], [30, 'unknown'], [40, 'down']))).toEqual({
    outages: 0,
    meanRecoveryMs: undefined,
  });
  // It began before the first of them.
  expect(outagesOf(changes([10, 'degraded'], [20, 'up'])).outages).toBe(0);
});
