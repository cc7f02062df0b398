// Frees what no retained backup needs of the journals of one repository. What goes is decided from the snapshots that are there
// once nobody else can add or remove one, so it comes after old snapshots were removed.
import { AppError } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { hasBranches, readBranches, type ReadBranch } from '../../repository/journal/branches.ts';
import { listJournal, type JournalListing } from '../../repository/journal/listing.ts';
import type { DataName, JournalProblem } from '../../repository/journal/object-name.ts';
import type { JournalPlace } from '../../repository/journal/place.ts';
import { decideJournalTrim, executeJournalTrim, type JournalTrim } from '../../repository/journal/trim.ts';
import { acquireLock } from '../../repository/lock.ts';
import { settleRemovals } from '../../repository/remove-files.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../repository/snapshot.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import { findBases, type FindBasesOptions, type JournalBase } from './bases.ts';
import { decideNeeds, originOf, type BranchNeed } from './needs.ts';

export interface TrimRequest {
  /** Only decide, without a lock. */
  readonly isDryRun: boolean;
  /** Snapshots that are about to go. */
  readonly without?: ReadonlySet<StoredSnapshot['id']> | undefined;
  /** Lineages into which no backup can be replayed, to be cut down to their ends all the same. */
  readonly dropped?: readonly string[] | undefined;
  /** Threads with the repository's keys; its own if absent. */
  readonly pool?: Workers | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: TrimProgress) => void) | undefined;
}

export interface TrimProgress {
  readonly segments: number;
  readonly segmentsTotal: number;
}

/** Some segments of one branch, in order; there may be holes between them. */
export interface SegmentRange {
  readonly segments: number;
  readonly first: number;
  readonly last: number;
  readonly storedBytes: number;
}

export interface TrimmedBranch {
  readonly lineage: string;
  /** As `BranchNeed` has it. */
  readonly standing: BranchNeed<JournalBase>['standing'];
  readonly removed: SegmentRange | undefined;
  readonly kept: SegmentRange | undefined;
  /** Begins the oldest of what must stay. */
  readonly keptBy: StoredSnapshot | undefined;
}

export interface TrimResult {
  /** Those of which anything is kept. */
  readonly branches: readonly TrimmedBranch[];
  readonly freedBytes: number;
  /** What stays because it can't be told what it is. */
  readonly problems: readonly JournalProblem[];
}

/**
 * May be repeated after it was cut short. Rejects with `REPOSITORY_DAMAGED`, having removed nothing, if of any snapshot it can't be
 * known what it needs, and with `NOT_FOUND` or `USAGE` if a lineage to be dropped is not there or needed.
 */
export async function trimJournals(repository: Repository, request: TrimRequest): Promise<TrimResult> {
  const { isDryRun, signal: outer, lockWaitMs: waitMs = 0, dropped = [], onProgress } = request;
  // Most repositories have none, and need no lock for that.
  if (dropped.length === 0 && !(await hasBranches(repository, outer)))
    return { branches: [], freedBytes: 0, problems: [] };
  if (isDryRun) return (await decide(repository, request, outer)).result;
  await using lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  const { trim, result } = await decide(repository, request, signal);
  const segmentsTotal = trim.segments.length;
  // A removed snapshot that a power cut brings back would find its journal gone.
  if (segmentsTotal > 0) await settleRemovals(repository, ['snapshots'], signal);
  await executeJournalTrim(repository, trim, {
    lock,
    signal,
    onSegment: (segments) => onProgress?.({ segments, segmentsTotal }),
  });
  return result;
}

async function decide(
  repository: Repository,
  { without, dropped = [], pool }: TrimRequest,
  signal: AbortSignal,
): Promise<{ readonly trim: JournalTrim; readonly result: TrimResult }> {
  const { branches, problems } = await readBranches(repository, signal);
  const listings = await listAll(repository, branches, signal);
  const snapshots = await loadSnapshots(repository, signal);
  const retained = snapshots.filter(({ id }) => without?.has(id) !== true);
  const bases = await findBases(repository, retained, { pool, signal });
  const needs = decideNeeds(branches.map(originOf), bases);
  for (const lineage of dropped) refuseNeeded(lineage, needs.get(lineage));
  const trim = decideJournalTrim(listings, floorsOf(needs, new Set(dropped)));
  const all = [...problems, ...listings.flatMap((listing) => listing.problems)];
  return { trim, result: { branches: report(listings, needs, trim), freedBytes: trim.freedBytes, problems: all } };
}

async function listAll(
  repository: Repository,
  branches: readonly ReadBranch[],
  signal: AbortSignal,
): Promise<JournalListing[]> {
  const listings: JournalListing[] = [];
  await forEachLimited(branches.entries(), repository.store.properties.connectionsMax, async ([at, branch]) => {
    listings[at] = await listJournal(repository, branch, signal);
  });
  return listings;
}

/**
 * Where what a repository needs of these branches begins. Those of another repository may be asked about: what is copied from there
 * must not be what a trim would remove again.
 */
export async function neededFrom(
  repository: Repository,
  branches: readonly ReadBranch[],
  options: FindBasesOptions,
): Promise<ReadonlyMap<string, JournalPlace>> {
  if (branches.length === 0) return new Map();
  const bases = await findBases(repository, await loadSnapshots(repository, options.signal), options);
  return floorsOf(decideNeeds(branches.map(originOf), bases), new Set());
}

function refuseNeeded(lineage: string, need: BranchNeed<JournalBase> | undefined): void {
  if (need === undefined) {
    throw new AppError('NOT_FOUND', `there is no journal '${lineage}'`, {
      hint: "List what there is with 'lifeboat repository stats'.",
    });
  }
  const { standing, keptBy } = need;
  if (standing === 'passed' || keptBy === undefined) return;
  throw new AppError('USAGE', `snapshot ${keptBy.snapshot.id.slice(0, 8)} needs the journal ${lineage}`, {
    hint: 'Remove the snapshots that need it first.',
  });
}

/** Behind everything: but for the newest segment nothing stays. */
const endOfAll: JournalPlace = { segment: Number.MAX_SAFE_INTEGER, offset: 0 };

function floorsOf(
  needs: ReadonlyMap<string, BranchNeed<JournalBase>>,
  dropped: ReadonlySet<string>,
): Map<string, JournalPlace> {
  const floors = new Map<string, JournalPlace>();
  for (const [lineage, { floor }] of needs) {
    if (dropped.has(lineage)) floors.set(lineage, endOfAll);
    else if (floor !== undefined) floors.set(lineage, floor);
  }
  return floors;
}

function report(
  listings: readonly JournalListing[],
  needs: ReadonlyMap<string, BranchNeed<JournalBase>>,
  trim: JournalTrim,
): TrimmedBranch[] {
  const gone = new Set(trim.segments.flatMap(({ objects }) => objects));
  return listings.flatMap((listing) => {
    const objects = objectsOf(listing);
    const need = needs.get(listing.lineage);
    if (objects.length === 0 || need === undefined) return [];
    return {
      lineage: listing.lineage,
      standing: need.standing,
      removed: rangeOf(objects.filter(({ name }) => gone.has(name))),
      kept: rangeOf(objects.filter(({ name }) => !gone.has(name))),
      keptBy: need.keptBy?.snapshot,
    };
  });
}

const objectsOf = ({ remnant, stretches }: JournalListing): DataName[] => [
  ...remnant,
  ...stretches.flatMap(({ objects }) => objects),
];

function rangeOf(objects: readonly DataName[]): SegmentRange | undefined {
  const numbers = [...new Set(objects.map(({ segment }) => segment))].toSorted((left, right) => left - right);
  const [first] = numbers;
  const last = numbers.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const storedBytes = objects.reduce((sum, object) => sum + object.storedBytes, 0);
  return { segments: numbers.length, first, last, storedBytes };
}
