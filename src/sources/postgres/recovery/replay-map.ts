// All that a repository keeps for a recovery of one component: backups that can be a base, timelines, segments.
import type { JournalPosition, JournalReader, JournalStretch } from '../../journal.ts';
import type { ReplayBase, ReplayEndPlace, ReplayPlace } from '../../replay.ts';
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
  const physical = physicalOf(place.bases);
  const timelines = await readTimelines(place.journal, physical, signal);
  const bases: MapBase[] = [];
  for (const candidate of physical) {
    const base = await readBase(candidate, { timelines, signal });
    if (base !== undefined) bases.push(base);
  }
  return { bases: bases.toSorted(newerFirst), timelines, kept: new KeptSegments(timelines) };
}

/** As `readReplayMap`, without a look into backups: those of which no journal is kept are left out, and no times are known. */
export async function readQuickMap({ bases, journal }: ReplayEndPlace, signal: AbortSignal): Promise<ReplayMap> {
  const physical = physicalOf(bases);
  const timelines = await readTimelines(journal, physical, signal);
  const found = physical.flatMap(({ id, journal: { lineage, from, to } }): MapBase[] => {
    const own = timelines.find((one) => one.lineage === lineage);
    if (own === undefined) return [];
    const lsn = (position: JournalPosition): Lsn => lsnOf(position, own.segmentBytes);
    return [{ id, lineage, startLsn: lsn(from), consistentLsn: lsn(to), consistentTimeUs: undefined }];
  });
  return { bases: found, timelines, kept: new KeptSegments(timelines) };
}

type Physical<Candidate> = Candidate & { readonly journal: JournalStretch };

function physicalOf<Candidate extends Pick<ReplayBase, 'journal'>>(bases: readonly Candidate[]): Physical<Candidate>[] {
  return bases.filter(
    (base): base is Physical<Candidate> =>
      base.journal !== undefined && readLineage(base.journal.lineage) !== undefined,
  );
}

/** Of the servers of these backups. */
async function readTimelines(
  journal: JournalReader,
  bases: readonly Physical<Pick<ReplayBase, 'journal'>>[],
  signal: AbortSignal,
): Promise<KeptTimeline[]> {
  const systems = new Set(bases.map((base) => readLineage(base.journal.lineage)?.systemIdentifier));
  const timelines: KeptTimeline[] = [];
  for (const branch of await journal.branches(signal)) {
    if (!systems.has(readLineage(branch.lineage)?.systemIdentifier)) continue;
    const one = keptTimeline(branch, await journal.segments(branch.lineage, signal));
    if (one !== undefined) timelines.push(one);
  }
  return timelines;
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
