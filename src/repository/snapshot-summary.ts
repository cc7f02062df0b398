// Numbers of a snapshot's summary, which snapshots of other programs and other versions may lack.
import type { SnapshotSummary, StoredSnapshot } from './snapshot.ts';

type TimeField = 'backup_start' | 'backup_end';

export function summaryNumber(
  snapshot: StoredSnapshot,
  field: Exclude<keyof SnapshotSummary, TimeField>,
): number | undefined {
  const found = summaryField(snapshot, field);
  return typeof found === 'number' && found >= 0 ? found : undefined;
}

/** Milliseconds since 1970. */
export function summaryTimeMs(snapshot: StoredSnapshot, field: TimeField): number | undefined {
  const found = summaryField(snapshot, field);
  const timeMs = typeof found === 'string' ? Date.parse(found) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function summaryField(snapshot: StoredSnapshot, field: keyof SnapshotSummary): unknown {
  const summary = snapshot['summary'];
  return typeof summary === 'object' && summary !== null ? (summary as Record<string, unknown>)[field] : undefined;
}
