// A position in the WAL together with the server's clock, so that a recovery to an instant knows whether it may begin there.
import { serverLsn } from '../protocol/server-lsn.ts';
import type { Lsn } from '../wal/lsn.ts';

export interface Position {
  readonly lsn: Lsn;
  /** Microseconds since 1970: no commit before `lsn` is later. */
  readonly timeUs: number;
}

export interface PositionRow {
  readonly lsn: string;
  readonly timeUs: string;
}

/** SQL for the server's clock at the moment the row is made. */
export const serverTimeUs = '(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint::text';

export function positionOfRow({ lsn, timeUs }: PositionRow): Position {
  return { lsn: serverLsn(lsn), timeUs: Number(timeUs) };
}

/** A whole number of microseconds that is surely after a time of the server in milliseconds, whose fraction a double holds only about. */
export function wholeUsAfter(timeMs: number): number {
  return Math.ceil((timeMs + 1) * 1000);
}
