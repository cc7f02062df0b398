// Numbers of a snapshot's summary, which snapshots of other programs and other versions may lack.
import type { StoredSnapshot } from '../repository/snapshot.ts';

type SummaryField = 'total_bytes_processed' | 'data_added_packed' | 'total_files_processed';

export function summaryNumber(snapshot: StoredSnapshot, field: SummaryField): number | undefined {
  const summary = snapshot['summary'];
  const found =
    typeof summary === 'object' && summary !== null ? (summary as Record<string, unknown>)[field] : undefined;
  return typeof found === 'number' && found >= 0 ? found : undefined;
}
