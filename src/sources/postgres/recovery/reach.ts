// How far a backup leads: which segments of which timelines follow it without a hole. Pure arithmetic over listings.
import type { KeptSegment } from '../../journal.ts';
import { type Lsn, lsnOf, positionOf } from '../wal/lsn.ts';
import type { KeptTimeline, PathStretch } from './timeline-tree.ts';

/** A backup from which a recovery can start. */
export interface Base {
  readonly id: string;
  readonly lineage: string;
  readonly startLsn: Lsn;
  /** From here on the copy is consistent; it holds all WAL up to here itself. */
  readonly consistentLsn: Lsn;
}

/** A segment that is replayed, wholly or in part. */
export interface ReplaySegment extends KeptSegment {
  readonly lineage: string;
  readonly timeline: number;
}

export interface Reach {
  /** From the one in which the base's end lies; those before lie in the backup itself. */
  readonly segments: readonly ReplaySegment[];
  /** Of the last byte that is kept without a hole; at least the base's own end. */
  readonly end: Lsn;
  /** What is missing before more comes that is kept. */
  readonly hole: Hole | undefined;
}

export interface Hole {
  readonly timeline: number;
  readonly from: Lsn;
  readonly to: Lsn;
}

/** The listing of each lineage by number, made once for many questions. */
export class KeptSegments {
  readonly #byLineage: ReadonlyMap<string, ReadonlyMap<number, KeptSegment>>;

  constructor(timelines: readonly KeptTimeline[]) {
    this.#byLineage = new Map(
      timelines.map(({ lineage, segments }) => [lineage, new Map(segments.map((one) => [one.segment, one]))]),
    );
  }

  get(lineage: string, segment: number): KeptSegment | undefined {
    return this.#byLineage.get(lineage)?.get(segment);
  }

  numbers(lineage: string): number[] {
    return [...(this.#byLineage.get(lineage)?.keys() ?? [])];
  }
}

/** Whether a recovery from this base can follow this path. Exactly at a switch parent and child are the same. */
export function isOnPath(path: readonly PathStretch[], { lineage, consistentLsn }: Base): boolean {
  const stretch = path.find((one) => one.lineage === lineage);
  if (stretch === undefined) return false;
  return consistentLsn >= stretch.from && (stretch.to === undefined || consistentLsn <= stretch.to);
}

/**
 * Under which timeline's name a segment is asked for: that of the newest one that has begun by its end. The first segment of a
 * timeline begins with a copy of what its parent wrote there.
 */
export function ownerOf(path: readonly PathStretch[], segment: number, segmentBytes: number): PathStretch {
  const owner = path.findLast(({ from }) => positionOf(from, segmentBytes).segment <= segment);
  return owner ?? path[0]!;
}

/** Follows a path from where a base is consistent until something is missing. */
export function reachFrom(goal: KeptTimeline, consistentLsn: Lsn, kept: KeptSegments): Reach {
  const { path, segmentBytes } = goal;
  const segments: ReplaySegment[] = [];
  let end = consistentLsn;
  for (let number = positionOf(consistentLsn, segmentBytes).segment; ; number += 1) {
    const { lineage, timeline } = ownerOf(path, number, segmentBytes);
    const found = kept.get(lineage, number);
    if (found !== undefined) {
      const keptEnd = lsnOf({ segment: number, offset: found.sizeBytes }, segmentBytes);
      if (keptEnd > end) {
        segments.push({ ...found, lineage, timeline });
        end = keptEnd;
      }
      if (found.sizeBytes === segmentBytes) continue;
    }
    const next = nextKept(goal, number, kept);
    const hole = next === undefined ? undefined : { timeline, from: end, to: next };
    return { segments, end, hole };
  }
}

/** Where something is kept again on the path, behind a segment that is not whole. */
function nextKept({ path, segmentBytes }: KeptTimeline, behind: number, kept: KeptSegments): Lsn | undefined {
  const numbers = new Set(path.map(({ lineage }) => lineage).flatMap((lineage) => kept.numbers(lineage)));
  const later = [...numbers].filter(
    (number) => number > behind && kept.get(ownerOf(path, number, segmentBytes).lineage, number) !== undefined,
  );
  if (later.length === 0) return undefined;
  const first = later.reduce((least, one) => Math.min(least, one), Infinity);
  return lsnOf({ segment: first, offset: 0 }, segmentBytes);
}
