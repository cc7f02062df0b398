import { expect, test } from 'vitest';
import { MadeTimelines, type MadeTimeline } from '../../../../test/support/made-timelines.ts';
import { madeWalOptions } from '../../../../test/support/made-wal.ts';
import { lineageOf, timelineBranch } from '../lineage.ts';
import { formatLsn, positionOf } from '../wal/lsn.ts';
import { replayEnd } from './replay-end.ts';

const { signal } = new AbortController();
const { segmentBytes } = madeWalOptions;

const segmentOf = (lsn: bigint): number => positionOf(lsn, segmentBytes).segment;

test('the end is that of the newest timeline, with the time of the newest change that is described', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  expect(await replayEnd(await made.place(), signal)).toBeUndefined();
  made.commit(first);
  made.backUp(first);
  const last = made.commit(first);
  made.fill(first, 2 * segmentBytes);
  expect(await replayEnd(await made.place(), signal)).toMatchObject({
    branch: 'timeline 1',
    lineage: first.lineage,
    position: formatLsn(first.wal.end),
    end: positionOf(first.wal.end, segmentBytes),
    changedMs: last.timeUs / 1000,
    missing: undefined,
  });
  const second = made.promote(first, 2);
  const later = made.commit(second);
  made.fill(second, 2 * segmentBytes);
  made.commit(first);
  expect(await replayEnd(await made.place(), signal)).toMatchObject({
    branch: 'timeline 2',
    position: formatLsn(second.wal.end),
    changedMs: later.timeUs / 1000,
  });
});

test('what lies behind a gap does not count until there is a backup behind it', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  const before = made.commit(first);
  made.fill(first, 2 * segmentBytes);
  const lost = segmentOf(first.wal.end);
  made.fill(first, 2 * segmentBytes);
  made.commit(first);
  made.lost.add(`${first.lineage} ${lost}`);
  const start = formatLsn(BigInt(lost * segmentBytes));
  expect(await replayEnd(await made.place(), signal)).toMatchObject({
    position: start,
    changedMs: before.timeUs / 1000,
    missing: expect.stringContaining(`changes of timeline 1 from ${start} to `),
  });
  made.backUp(first);
  made.fill(first, segmentBytes);
  expect(await replayEnd(await made.place(), signal)).toMatchObject({
    position: formatLsn(first.wal.end),
    missing: undefined,
  });
});

test('a server that was made anew begins with timeline 1 again, and is the one that counts', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  const second = made.promote(first, 2);
  made.commit(second);
  made.fill(second, 2 * segmentBytes);
  const { bases, journal } = await made.place();
  const fresh = { systemIdentifier: '99', timeline: 1, history: undefined };
  const lineage = lineageOf(fresh);
  const branch = { ...timelineBranch({ ...fresh, segmentBytes, major: madeWalOptions.major }) };
  const [start, end] = [
    { segment: 1, offset: 0 },
    { segment: 2, offset: 0 },
  ];
  const place = {
    bases: [...bases, { id: 'fresh', journal: { lineage, from: start, to: start } }],
    journal: {
      ...journal,
      branches: async () => [...(await journal.branches(signal)), { ...branch, start, end }],
      segments: async (of: string, within: AbortSignal) =>
        of === lineage ? [{ segment: 1, sizeBytes: segmentBytes, isSealed: true }] : journal.segments(of, within),
      facts: async (of: string, segment: number, within: AbortSignal) =>
        of === lineage ? {} : journal.facts(of, segment, within),
    },
  };
  expect(await replayEnd(place, signal)).toMatchObject({ lineage, end, missing: undefined });
});
