// How far the server may be told that its WAL is safe. Pure.
import { lsnOf, type Lsn } from '../wal/lsn.ts';
import type { JournalPosition } from '../../journal.ts';

/**
 * The server removes whole segments below what is reported, so within the open segment all that this machine has made durable may
 * be reported, as long as every earlier segment is safe in each place that was promised: the open one can be asked for again.
 */
export function flushPosition(
  durable: JournalPosition | undefined,
  promised: JournalPosition | undefined,
  segmentBytes: number,
): Lsn {
  if (durable === undefined || promised === undefined) return 0n;
  const segmentStart = { segment: durable.segment, offset: 0 };
  const isOpenOnly = lsnOf(segmentStart, segmentBytes) <= lsnOf(promised, segmentBytes);
  return lsnOf(isOpenOnly ? durable : promised, segmentBytes);
}
