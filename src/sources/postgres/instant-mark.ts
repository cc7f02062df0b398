// A mark in the WAL that says behind which position a fingerprint is being taken. Whoever replays sees it where it was written, while
// the backup that it belongs to is not stored yet; a standby can stop there and look at its own rows.
import { formatLsn, type Lsn, parseLsn } from './wal/lsn.ts';
import type { WalEvent } from './wal/record-event.ts';

export const markPrefix = 'lifeboat';
const form = /^fingerprint at ([0-9A-F/]{3,17})$/;

export function markText(lsn: Lsn): string {
  return `fingerprint at ${formatLsn(lsn)}`;
}

/** The position that a mark names, which lies before the mark; undefined for all else. */
export function markedLsn(event: WalEvent): Lsn | undefined {
  if (event.kind !== 'message' || event.prefix !== markPrefix) return undefined;
  const lsn = parseLsn(form.exec(event.text)?.[1] ?? '');
  return lsn !== undefined && lsn <= event.lsn ? lsn : undefined;
}
