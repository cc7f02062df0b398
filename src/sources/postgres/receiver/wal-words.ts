// Places and times of WAL for people. Pure.
import type { JsonObject } from '../../../base/json.ts';
import type { JournalBranch, JournalPosition, JournalTimes } from '../../journal.ts';
import { readTimelineBranch } from '../lineage.ts';
import { formatLsn, lsnOf } from '../wal/lsn.ts';
import { segmentFactsSchema } from '../wal/segment-facts.ts';

export function describeWalPlace(branch: JournalBranch, position: JournalPosition): string {
  const lsn = formatLsn(lsnOf(position, branch.segmentBytes));
  const timeline = readTimelineBranch(branch)?.timeline;
  return timeline === undefined || timeline === 1 ? lsn : `${lsn} on timeline ${timeline}`;
}

export function walTimes(facts: JsonObject): JournalTimes {
  const { data } = segmentFactsSchema.safeParse(facts);
  if (data === undefined) return {};
  const milliseconds = (us: number | undefined): number | undefined => (us === undefined ? undefined : us / 1000);
  return {
    earliestMs: milliseconds(data.times?.earliest),
    latestMs: milliseconds(data.times?.latest),
    receivedMs: milliseconds(data.receivedTimeUs),
  };
}
