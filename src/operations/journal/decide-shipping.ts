// Decides what of a spooled branch goes to a repository next. Pure: touches nothing.
import type { JournalGap, JournalPosition } from '../../sources/journal.ts';
import { comparePositions, laterOf, startOfSegment } from './positions.ts';
import type { SpooledSegment } from './spool-branch.ts';

/** What a repository holds of one branch. */
export interface HeldBranch {
  /** Bytes from a segment's start, and whether it is sealed there. */
  readonly segments: ReadonlyMap<number, HeldSegment>;
  readonly gaps: readonly Pick<JournalGap, 'from' | 'to'>[];
  /** Where it ended when it was opened; undefined if it held nothing. */
  readonly foundEnd: JournalPosition | undefined;
  /** What lies between that end and the oldest spooled segment was recorded as a gap, if there is such a hole. */
  readonly isJoined: boolean;
}

export interface HeldSegment {
  readonly sizeBytes: number;
  readonly isSealed: boolean;
}

export interface SpooledBranch {
  /** In order. */
  readonly segments: readonly SpooledSegment[];
  readonly gaps: readonly JournalGap[];
}

export type ShippingStep =
  | { readonly kind: 'gap'; readonly gap: JournalGap }
  /** Several may be under way at once. */
  | { readonly kind: 'seal'; readonly segment: SpooledSegment }
  /** Bytes from here to the end of what is spooled. */
  | { readonly kind: 'part'; readonly segment: SpooledSegment; readonly fromBytes: number };

/** Oldest first. A complete segment goes whole; parts of it would be replaced at once. */
export function decideShipping(spooled: SpooledBranch, held: HeldBranch): ShippingStep[] {
  const steps: ShippingStep[] = unrecordedGaps(spooled, held).map((gap) => ({ kind: 'gap', gap }));
  for (const segment of spooled.segments) {
    const there = held.segments.get(segment.segment);
    if (isHeld(segment, there)) continue;
    if (segment.isSealed) steps.push({ kind: 'seal', segment });
    else steps.push({ kind: 'part', segment, fromBytes: there?.sizeBytes ?? 0 });
  }
  return steps;
}

export function isHeld(segment: SpooledSegment, there: HeldSegment | undefined): boolean {
  return there !== undefined && (there.isSealed || (!segment.isSealed && there.sizeBytes >= segment.sizeBytes));
}

/** Up to where a repository holds all that is or was in the spool; undefined if nothing. */
export function heldEnd(spooled: SpooledBranch, held: HeldBranch): JournalPosition | undefined {
  if (!held.isJoined) return held.foundEnd;
  const missing = spooled.segments.find((segment) => !isHeld(segment, held.segments.get(segment.segment)));
  if (missing !== undefined) {
    const sizeBytes = held.segments.get(missing.segment)?.sizeBytes ?? 0;
    const isNothing = sizeBytes === 0 && held.foundEnd === undefined && held.segments.size === 0;
    return isNothing ? undefined : { segment: missing.segment, offset: sizeBytes };
  }
  const newest = spooled.segments.at(-1);
  if (newest === undefined) return held.foundEnd;
  const end = newest.isSealed
    ? startOfSegment(newest.segment + 1)
    : { segment: newest.segment, offset: newest.sizeBytes };
  return unrecordedGaps(spooled, held).length > 0 ? end : laterOf(end, spooled.gaps.at(-1)?.to);
}

/** Whether it can be seen what lies between the repository's end and the spool: a new spool may be empty for a while. */
export function isJoinable({ segments }: SpooledBranch, { foundEnd }: HeldBranch): boolean {
  return foundEnd === undefined || segments.some(({ segment }) => segment >= foundEnd.segment);
}

/** Those of the spool, and what the spool let go of before this repository had it: no hole stays silent. */
function unrecordedGaps(spooled: SpooledBranch, held: HeldBranch): JournalGap[] {
  const gaps = spooled.gaps.filter((gap) => !held.gaps.some((recorded) => isSame(recorded, gap)));
  const from = held.foundEnd;
  if (held.isJoined || from === undefined) return gaps;
  const next = spooled.segments.find(({ segment }) => segment >= from.segment);
  if (next === undefined) return gaps;
  const hole = { from, to: startOfSegment(next.segment) };
  if (comparePositions(hole.from, hole.to) >= 0 || isCovered(hole, [...spooled.gaps, ...held.gaps])) return gaps;
  return [{ ...hole, reason: 'the spool did not hold it any more when this repository could be reached' }, ...gaps];
}

const isSame = (left: Stretch, right: Stretch): boolean =>
  comparePositions(left.from, right.from) === 0 && comparePositions(left.to, right.to) === 0;

type Stretch = Pick<JournalGap, 'from' | 'to'>;

function isCovered({ from, to }: Stretch, gaps: readonly Stretch[]): boolean {
  const ordered = gaps.toSorted((left, right) => comparePositions(left.from, right.from));
  let reached = from;
  for (const gap of ordered)
    if (comparePositions(gap.from, reached) <= 0) reached = laterOf(reached, gap.to) ?? reached;
  return comparePositions(reached, to) >= 0;
}
