// All that a repository keeps for a recovery of one component: backups that can be a base, timelines, segments.
import type { ReplayBase, ReplayPlace } from '../../replay.ts';
import { type Lsn, lsnOf, parseLsn } from '../wal/lsn.ts';
import { baseFactsSchema } from './base-facts.ts';
import { type Base, KeptSegments } from './reach.ts';
import { keptTimeline, type KeptTimeline, readLineage, unkeptTimeline } from './timeline-tree.ts';

export interface MapBase extends Base {
  /** Undefined if it does not say. */
  readonly consistentTimeUs: number | undefined;
}

export interface ReplayMap {
  /** Newest first. */
  readonly bases: readonly MapBase[];
  readonly timelines: readonly KeptTimeline[];
  readonly kept: KeptSegments;
}

/** Backups of other methods, and journals of other servers, are left out. */
export async function readReplayMap(place: ReplayPlace, signal: AbortSignal): Promise<ReplayMap> {
  const physical = place.bases.filter(({ journal }) => journal !== undefined && readLineage(journal.lineage));
  const systems = new Set(physical.map(({ journal }) => readLineage(journal?.lineage ?? '')?.systemIdentifier));
  const timelines: KeptTimeline[] = [];
  for (const branch of await place.journal.branches(signal)) {
    if (!systems.has(readLineage(branch.lineage)?.systemIdentifier)) continue;
    const one = keptTimeline(branch, await place.journal.segments(branch.lineage, signal));
    if (one !== undefined) timelines.push(one);
  }
  const bases: MapBase[] = [];
  for (const candidate of physical) {
    const base = await readBase(candidate, { timelines, signal });
    if (base !== undefined) bases.push(base);
  }
  return { bases: bases.toSorted(newerFirst), timelines, kept: new KeptSegments(timelines) };
}

/** Adds the timeline of a base of which no journal is kept. */
async function readBase(
  candidate: ReplayBase,
  { timelines, signal }: { readonly timelines: KeptTimeline[]; readonly signal: AbortSignal },
): Promise<MapBase | undefined> {
  const { id, journal } = candidate;
  const parsed = baseFactsSchema.safeParse(await candidate.facts(signal)).data;
  if (journal === undefined || parsed === undefined) return undefined;
  const { lineage, from, to } = journal;
  if (!timelines.some((one) => one.lineage === lineage)) {
    const own = unkeptTimeline(lineage, parsed.walSegmentBytes);
    if (own === undefined) return undefined;
    timelines.push(own);
  }
  const { consistentTimeUs } = parsed;
  const consistentLsn: Lsn = parseLsn(parsed.consistentLsn) ?? lsnOf(to, parsed.walSegmentBytes);
  return { id, lineage, startLsn: lsnOf(from, parsed.walSegmentBytes), consistentLsn, consistentTimeUs };
}

function newerFirst(left: MapBase, right: MapBase): number {
  const byTime = (right.consistentTimeUs ?? 0) - (left.consistentTimeUs ?? 0);
  if (byTime !== 0) return byTime;
  return right.consistentLsn < left.consistentLsn ? -1 : right.consistentLsn > left.consistentLsn ? 1 : 0;
}
