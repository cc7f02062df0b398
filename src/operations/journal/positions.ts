// Arithmetic of journal positions, and what of an append is new.
import type { JournalPosition } from '../../sources/journal.ts';

export function comparePositions(left: JournalPosition, right: JournalPosition): number {
  return left.segment - right.segment || left.offset - right.offset;
}

export const startOfSegment = (segment: number): JournalPosition => ({ segment, offset: 0 });

export function laterOf(
  left: JournalPosition | undefined,
  right: JournalPosition | undefined,
): JournalPosition | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return comparePositions(left, right) < 0 ? right : left;
}

export function earlierOf(left: JournalPosition, right: JournalPosition): JournalPosition {
  return comparePositions(left, right) < 0 ? left : right;
}

/** `12:4096`, as messages name a position. */
export const formatPosition = ({ segment, offset }: JournalPosition): string => `${segment}:${offset}`;
