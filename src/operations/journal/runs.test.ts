import { describe, expect, test } from 'vitest';
import { leaseRefreshMs } from '../../repository/journal/lease.ts';
import { decideShipping, heldEnd, type HeldBranch } from './decide-shipping.ts';
import { unbrokenRuns } from './runs.ts';
import { shippingCost } from './shipping-cost.ts';
import type { SpooledSegment } from './spool-branch.ts';

const kept = (segment: number, sizeBytes = 100, isSealed = true) => ({ segment, sizeBytes, isSealed });

test('runs end at missing numbers and behind segments that were cut', () => {
  const segments = [
    kept(1),
    kept(2, 40),
    kept(3),
    kept(5),
    kept(6, 30, false),
    kept(7),
    kept(8, 100, false),
    kept(9, 5, false),
  ];
  expect(unbrokenRuns(segments, 100)).toEqual([
    { firstSegment: 1, lastSegment: 3, lastBytes: 100, isSealed: true },
    { firstSegment: 5, lastSegment: 6, lastBytes: 30, isSealed: false },
    { firstSegment: 7, lastSegment: 9, lastBytes: 5, isSealed: false },
  ]);
  expect(unbrokenRuns([], 100)).toEqual([]);
});

describe('what is shipped next', () => {
  const spooled = (segment: number, sizeBytes = 100, isSealed = true): SpooledSegment => ({
    ...kept(segment, sizeBytes, isSealed),
    facts: {},
  });
  const empty: HeldBranch = { segments: new Map(), gaps: [], foundEnd: undefined, isJoined: true };
  const short = (branch: Parameters<typeof decideShipping>[0], held: HeldBranch): string[] =>
    decideShipping(branch, held).map((step) => {
      if (step.kind === 'gap') return `gap ${step.gap.from.segment}:${step.gap.from.offset}-${step.gap.to.segment}`;
      return step.kind === 'seal' ? `seal ${step.segment.segment}` : `part ${step.segment.segment}:${step.fromBytes}`;
    });

  test('goes oldest first, whole segments whole, and leaves out what is held', () => {
    const segments = [spooled(1), spooled(2), spooled(3), spooled(4, 30, false)];
    expect(short({ segments, gaps: [] }, empty)).toEqual(['seal 1', 'seal 2', 'seal 3', 'part 4:0']);
    const held = new Map([
      [1, { sizeBytes: 100, isSealed: true }],
      [2, { sizeBytes: 60, isSealed: false }],
      [4, { sizeBytes: 10, isSealed: false }],
    ]);
    expect(short({ segments, gaps: [] }, { ...empty, segments: held })).toEqual(['seal 2', 'seal 3', 'part 4:10']);
    expect(heldEnd({ segments, gaps: [] }, { ...empty, segments: held })).toEqual({ segment: 2, offset: 60 });
  });

  test('records gaps before what follows them, each once', () => {
    const gap = { from: { segment: 1, offset: 30 }, to: { segment: 5, offset: 0 }, reason: 'gone' };
    const branch = { segments: [spooled(1, 30, false), spooled(5)], gaps: [gap] };
    expect(short(branch, empty)).toEqual(['gap 1:30-5', 'part 1:0', 'seal 5']);
    expect(short(branch, { ...empty, gaps: [gap] })).toEqual(['part 1:0', 'seal 5']);
  });

  test('tells the hole between a repository that lags behind and a spool that let go', () => {
    const held = { ...empty, foundEnd: { segment: 2, offset: 50 }, isJoined: false };
    expect(short({ segments: [spooled(4)], gaps: [] }, held)).toEqual(['gap 2:50-4', 'seal 4']);
    expect(short({ segments: [spooled(2), spooled(4)], gaps: [] }, held)).not.toContain('gap 2:50-4');
    expect(heldEnd({ segments: [spooled(4)], gaps: [] }, held)).toEqual({ segment: 2, offset: 50 });
  });
});

test('a repository that is paid by the request costs no more than a part an interval, and its upkeep', () => {
  const rates = {
    intervalMs: 5000,
    bytesPerDay: 10e9,
    segmentBytes: 16 * 2 ** 20,
    isAcknowledged: false,
    leaseRefreshMs,
  };
  expect(shippingCost({ ...rates, busyShare: 1 }).putsPerDay).toBe(17_280 + 270 + 597 + 4320);
  expect(shippingCost({ ...rates, busyShare: 0, bytesPerDay: 0 })).toEqual({ putsPerDay: 4320, listsPerDay: 4320 });
});
