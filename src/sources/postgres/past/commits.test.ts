import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeOptions } from '../../../../test/support/made-postgres-options.ts';
import { endOf, MadeTimelines, type MadeTimeline } from '../../../../test/support/made-timelines.ts';
import { madeWalOptions } from '../../../../test/support/made-wal.ts';
import type { PastCommit, PastCommits } from '../../explore.ts';
import { replayRestore } from '../recovery/replay-restore.ts';
import { formatLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import { pastCommits } from './commits.ts';

const { signal } = new AbortController();

/** Splits until nothing is left in between. */
async function allBetween(commits: PastCommits, from: Lsn, before: Lsn): Promise<PastCommit[]> {
  const commit = await commits.between(formatLsn(from), formatLsn(before), signal);
  if (commit === undefined) return [];
  const lsn = parseLsn(commit.position) ?? 0n;
  expect(lsn >= from && lsn < before).toBe(true);
  return [...(await allBetween(commits, from, lsn)), commit, ...(await allBetween(commits, lsn + 1n, before))];
}

test('splitting the way to an instant again and again meets every commit of it once, across segments and timelines', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant('commit' as const) },
      { weight: 2, arbitrary: fc.nat({ max: 3 * madeWalOptions.segmentBytes }) },
      { weight: 1, arbitrary: fc.constant('back up' as const) },
      { weight: 1, arbitrary: fc.constant('promote' as const) },
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (wished) => {
      const made = new MadeTimelines();
      let [timeline] = made.timelines as [MadeTimeline];
      made.commit(timeline);
      const base = made.backUp(timeline);
      made.commit(timeline);
      for (const step of wished) {
        if (step === 'commit') made.commit(timeline);
        else if (step === 'back up') made.backUp(timeline);
        else if (step === 'promote') timeline = made.promote(timeline, timeline.number + 1);
        else made.fill(timeline, step);
      }
      made.commit(timeline);
      const place = await made.place();
      const request = { target: { kind: 'end' }, timeline: { kind: 'latest' } } as const;
      const choice = await replayRestore(makeOptions()).choose(place, request, signal);
      const commits = await pastCommits(choice, signal);
      expect(commits.start.position).toBe(formatLsn(base.lsn));
      const expected = made.eventsTo(timeline).filter(({ lsn }) => lsn >= base.lsn);
      const found = await allBetween(commits, base.lsn, endOf(timeline));
      expect(found.map(({ xid }) => xid)).toEqual(expected.map(({ xid }) => xid));
      expect(found.map(({ position }) => position)).toEqual(expected.map(({ lsn }) => formatLsn(lsn)));
    }),
    { numRuns: 40 },
  );
});
