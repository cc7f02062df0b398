// Places in a journal: a segment's number and an offset within it. Structurally what sources call a position.
import { z } from 'zod';

export interface JournalPlace {
  readonly segment: number;
  readonly offset: number;
}

/** Negative if `left` comes first. */
export function comparePlaces(left: JournalPlace, right: JournalPlace): number {
  return left.segment - right.segment || left.offset - right.offset;
}

export const placeText = ({ segment, offset }: JournalPlace): string => `${segment}:${offset}`;

export const journalPlaceSchema = z.object({ segment: z.int().nonnegative(), offset: z.int().nonnegative() });

/** A stretch of one journal, as snapshots name it. */
export const journalStretchSchema = z.object({
  lineage: z.string(),
  from: journalPlaceSchema,
  to: journalPlaceSchema,
});
