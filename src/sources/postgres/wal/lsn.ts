// Positions in the write-ahead log. They are 64 bits wide, more than a number holds, and never arithmetic on text.
import type { JournalPosition } from '../../journal.ts';

/** Log sequence number: bytes of WAL since the server was made. */
export type Lsn = bigint;

const form = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Reads `16/B374D848`; undefined if the text is no LSN. */
export function parseLsn(text: string): Lsn | undefined {
  const [, high, low] = form.exec(text) ?? [];
  return high === undefined ? undefined : (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** As the server prints it: upper hexadecimal without padding. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** Where an LSN lies in the journal of a server with segments of this size. */
export function positionOf(lsn: Lsn, segmentBytes: number): JournalPosition {
  const size = BigInt(segmentBytes);
  return { segment: Number(lsn / size), offset: Number(lsn % size) };
}

export function lsnOf({ segment, offset }: JournalPosition, segmentBytes: number): Lsn {
  return BigInt(segment) * BigInt(segmentBytes) + BigInt(offset);
}
