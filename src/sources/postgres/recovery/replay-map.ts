// All that a repository keeps for a recovery of one component: backups that can be a base, timelines, segments.
import { isAppError } from '../../../base/errors.ts';
import type { JournalPosition, JournalReader, JournalStretch } from '../../journal.ts';
import type { ReplayBase, ReplayEndPlace, ReplayPlace, UnreadableBase } from '../../replay.ts';
import { type Lsn, lsnOf, parseLsn } from '../wal/lsn.ts';
import { type BaseFacts, baseFactsSchema } from './base-facts.ts';
import { type Base, KeptSegments } from './reach.ts';
import { keptTimeline, type KeptTimeline, readLineage, unkeptTimeline } from './timeline-tree.ts';

export interface MapBase extends Base {
  /** Undefined if it does not say. */
  readonly consistentTimeUs: number | undefined;
}

export interface ReplayMap {
  /** Newest first. */
  readonly bases: readonly MapBase[];
  /** Backups that are left out, as what they say of themselves can't be read. */
  readonly unreadable: number;
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
    if ('message' in base) place.onUnreadable?.(base);
    else bases.push(base);
  }
  const unreadable = physical.length - bases.length;
  return { bases: bases.toSorted(newerFirst), unreadable, timelines, kept: new KeptSegments(timelines) };
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
  return { bases: found, unreadable: 0, timelines, kept: new KeptSegments(timelines) };
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
  candidate: Physical<ReplayBase>,
  { timelines, signal }: { readonly timelines: KeptTimeline[]; readonly signal: AbortSignal },
): Promise<MapBase | UnreadableBase> {
  const { id, journal } = candidate;
  const parsed = await readFacts(candidate, signal);
  if (typeof parsed === 'string') return { id, message: parsed };
  const { lineage, from, to } = journal;
  if (!timelines.some((one) => one.lineage === lineage)) {
    const own = unkeptTimeline(lineage, parsed.walSegmentBytes);
    if (own === undefined) return { id, message: `its timeline '${lineage}' is none` };
    timelines.push(own);
  }
  const { consistentTimeUs } = parsed;
  const consistentLsn: Lsn = parseLsn(parsed.consistentLsn) ?? lsnOf(to, parsed.walSegmentBytes);
  return { id, lineage, startLsn: lsnOf(from, parsed.walSegmentBytes), consistentLsn, consistentTimeUs };
}

/** Or why they can't be read. What others hold must not be lost with one that is damaged. */
async function readFacts(candidate: ReplayBase, signal: AbortSignal): Promise<BaseFacts | string> {
  try {
    const { data, error } = baseFactsSchema.safeParse(await candidate.facts(signal));
    if (data !== undefined) return data;
    const wrong = new Set(error.issues.map(({ path }) => path.join('.')));
    return `what it says of itself is not complete (${[...wrong].join(', ')})`;
  } catch (error) {
    if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    return error.message;
  }
}

function newerFirst(left: MapBase, right: MapBase): number {
  const byTime = (right.consistentTimeUs ?? 0) - (left.consistentTimeUs ?? 0);
  if (byTime !== 0) return byTime;
  return right.consistentLsn < left.consistentLsn ? -1 : right.consistentLsn > left.consistentLsn ? 1 : 0;
}
