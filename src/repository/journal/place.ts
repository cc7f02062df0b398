// Places in a journal: a segment's number and an offset within it. Structurally what sources call a position.

export interface JournalPlace {
  readonly segment: number;
  readonly offset: number;
}

/** Negative if `left` comes first. */
export function comparePlaces(left: JournalPlace, right: JournalPlace): number {
  return left.segment - right.segment || left.offset - right.offset;
}

export const placeText = ({ segment, offset }: JournalPlace): string => `${segment}:${offset}`;
