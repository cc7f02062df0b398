import { expect, it } from 'vitest';
import { LossMeter } from './loss-window.ts';

it('counts for each commit until the first look that sees it, and those that nobody saw not at all', () => {
  const meter = new LossMeter();
  expect(meter.figures()).toBeUndefined();
  meter.committed(100, 1_000);
  meter.committed(200, 1_100);
  meter.stored(99, 1_150);
  expect(meter.figures()).toBeUndefined();
  meter.stored(100, 1_200);
  meter.stored(150, 1_300);
  expect(meter.figures()).toEqual({ commits: 1, longestMs: 200, meanMs: 200 });
  meter.committed(300, 1_400);
  meter.stored(250, 1_700);
  expect(meter.figures()).toEqual({ commits: 2, longestMs: 600, meanMs: 400 });
});
