// Removes what no retained base needs any more from the beginning of journals. Pure decision first, then the deed, under
// restic's exclusive lock, which the caller holds from before it looks which bases are retained. Oldest first, one segment
// after the other, so that what a crash leaves is still one piece.
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { Lock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import type { JournalListing } from './listing.ts';
import type { DataName } from './object-name.ts';
import { comparePlaces, type JournalPlace } from './place.ts';

export interface TrimmedSegment {
  readonly lineage: string;
  readonly segment: number;
  /** By offset. */
  readonly objects: readonly string[];
  readonly storedBytes: number;
}

export interface JournalTrim {
  /** In the order in which they go: of each lineage oldest first. */
  readonly segments: readonly TrimmedSegment[];
  /** Gaps before everything that stays. */
  readonly gaps: readonly string[];
  readonly freedBytes: number;
}

/**
 * `floors` holds for each lineage where the oldest retained base begins; of a lineage without one nothing goes. The segment
 * of the floor stays whole, so does the newest, whatever the floor: it says where the journal ends. What branches are stays.
 */
export function decideJournalTrim(
  listings: readonly JournalListing[],
  floors: ReadonlyMap<string, JournalPlace>,
): JournalTrim {
  const segments: TrimmedSegment[] = [];
  const gaps: string[] = [];
  for (const { lineage, stretches, remnant, gaps: recorded } of listings) {
    const floor = floors.get(lineage);
    const newest = stretches.at(-1);
    if (floor === undefined || newest === undefined) continue;
    const first = Math.min(floor.segment, newest.segment);
    const objects = [...remnant, ...stretches.flatMap((stretch) => stretch.objects)];
    const outdated = Map.groupBy(
      objects.filter(({ segment }) => segment < first),
      ({ segment }) => segment,
    );
    for (const [segment, group] of outdated) segments.push(trimmed(lineage, segment, group));
    const start = { segment: first, offset: 0 };
    gaps.push(...recorded.filter(({ to }) => comparePlaces(to, start) <= 0).map(({ name }) => name));
  }
  return { segments, gaps, freedBytes: segments.reduce((sum, { storedBytes }) => sum + storedBytes, 0) };
}

function trimmed(lineage: string, segment: number, objects: readonly DataName[]): TrimmedSegment {
  return {
    lineage,
    segment,
    objects: objects.toSorted((left, right) => left.offset - right.offset).map(({ name }) => name),
    storedBytes: objects.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  };
}

export interface ExecuteTrimOptions {
  readonly lock: Lock;
  readonly signal: AbortSignal;
  /** Told how many segments are gone. */
  readonly onSegment?: ((segments: number) => void) | undefined;
}

/** May be repeated after it was cut short. Rejects with `LOCK_LOST` before anything goes that the lock does not protect. */
export async function executeJournalTrim(
  repository: Repository,
  { segments, gaps }: JournalTrim,
  { lock, signal, onSegment }: ExecuteTrimOptions,
): Promise<void> {
  const { store } = repository;
  const remove = async (name: string): Promise<void> => {
    lock.checkTime();
    await store.remove(name, { signal });
  };
  for (const [at, { objects }] of segments.entries()) {
    if (at % segmentsPerCheck === 0) await lock.check();
    for (const name of objects) await remove(name);
    onSegment?.(at + 1);
  }
  // Last: while a segment before a gap stays, the gap says why the next one does not follow.
  if (gaps.length > 0) await lock.check();
  await forEachLimited(gaps, store.properties.connectionsMax, remove);
}

const segmentsPerCheck = 32;
