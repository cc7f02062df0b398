// Which instants can be reached along a timeline: stretches that begin where a backup is consistent and end where something is
// missing.
import { formatInstantUs } from '../../../model/recovery-target.ts';
import type { ReplayInstant, ReplayWindow } from '../../replay.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { type Hole, isOnPath, type Reach, reachFrom, type ReplaySegment } from './reach.ts';
import type { MapBase, ReplayMap } from './replay-map.ts';
import { type KeptTimeline, timelineName } from './timeline-tree.ts';
import type { WalLibrary } from './wal-library.ts';

/** Bases from which this timeline can be followed, newest position first. */
export function basesOf(map: ReplayMap, goal: KeptTimeline): MapBase[] {
  return map.bases
    .filter((base) => isOnPath(goal.path, base))
    .toSorted((left, right) =>
      left.consistentLsn > right.consistentLsn ? -1 : left.consistentLsn < right.consistentLsn ? 1 : 0,
    );
}

/** Bases whose changes follow one another without a hole, and how far the last of them leads. */
export interface Run {
  /** Oldest first. */
  readonly bases: readonly MapBase[];
  readonly reach: Reach;
}

/** Oldest first. */
export function runsOf(map: ReplayMap, goal: KeptTimeline, bases: readonly MapBase[]): Run[] {
  const runs: Run[] = [];
  let at = 0;
  const ascending = bases.toReversed();
  while (at < ascending.length) {
    const first = ascending[at];
    if (first === undefined) break;
    const reach = reachFrom(goal, first.consistentLsn, map.kept);
    const count = ascending.slice(at).findIndex(({ consistentLsn }) => consistentLsn > reach.end);
    const own = count === -1 ? ascending.slice(at) : ascending.slice(at, at + count);
    runs.push({ bases: own, reach });
    at += own.length;
  }
  return runs;
}

/** More segments than this in a row without any commit are not searched for the time of the last one. */
const quietSegmentsMax = 64;

export async function windowOf(
  { bases, reach }: Run,
  { goal, map, library }: { readonly goal: KeptTimeline; readonly map: ReplayMap; readonly library: WalLibrary },
  signal: AbortSignal,
): Promise<ReplayWindow> {
  const first = bases[0];
  const { recordsEnd, timeUs } = await library.tail(reach.segments, signal);
  const start: Lsn = first?.consistentLsn ?? 0n;
  const end = recordsEnd !== undefined && recordsEnd > start ? recordsEnd : start;
  const lastUs = timeUs ?? (await lastTimeUs(reach.segments, library, signal)) ?? bases.at(-1)?.consistentTimeUs;
  return {
    branch: `timeline ${timelineName(goal, map.timelines)}`,
    from: instant(start, first?.consistentTimeUs),
    // The last commit may lie before the clock at which the first backup was consistent.
    to: instant(end, lastUs === undefined ? undefined : Math.max(lastUs, first?.consistentTimeUs ?? lastUs)),
    baseCount: bases.length,
    ...(reach.hole === undefined ? {} : { missing: holeWords(reach.hole) }),
  };
}

async function lastTimeUs(
  segments: readonly ReplaySegment[],
  library: WalLibrary,
  signal: AbortSignal,
): Promise<number | undefined> {
  for (const segment of segments.slice(-quietSegmentsMax).toReversed()) {
    const { times } = await library.facts(segment, signal);
    if (times !== undefined) return times.latest;
  }
  return undefined;
}

const instant = (lsn: Lsn, timeUs: number | undefined): ReplayInstant => ({
  position: formatLsn(lsn),
  ...(timeUs === undefined ? {} : { timeUs }),
});

export function holeWords({ timeline, from, to }: Hole): string {
  return `changes of timeline ${timeline} from ${formatLsn(from)} to ${formatLsn(to)}`;
}

export function instantWords({ position, timeUs }: ReplayInstant): string {
  return timeUs === undefined ? position : `${formatInstantUs(timeUs)} (${position})`;
}

export function windowWords({ branch, from, to }: ReplayWindow): string {
  return `${instantWords(from)} to ${instantWords(to)} on ${branch}`;
}
