// Backups whose facts were stored wrongly: intact as far as the repository goes, and refused by a restore that needs them.
import { messageOf } from '../base/errors.ts';
import { isMalformed, recoveryReader } from '../operations/restore/recovery-reader.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { VerifyInside } from '../repository/verify.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import type { Workers } from '../repository/worker-pool.ts';

/** A sentence each. Of each component of each application the newest, or all: each is a small file to be read. */
export async function malformedFacts(
  { indexed, snapshots, signal, onUnreadable }: VerifyInside,
  { pool, isAll }: { readonly pool: Workers; readonly isAll: boolean },
): Promise<string[]> {
  const ours = snapshots.filter((snapshot) => componentOf(snapshot) !== undefined);
  const malformed: string[] = [];
  for (const snapshot of isAll ? ours : newestOfEach(ours)) {
    try {
      await recoveryReader({ indexed, pool, snapshot }).facts(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isMalformed(error)) malformed.push(messageOf(error));
      else onUnreadable(`facts of snapshot ${snapshot.id.slice(0, 8)}`, error);
    }
  }
  return malformed;
}

/** The later takes the place of the earlier. */
function newestOfEach(snapshots: readonly StoredSnapshot[]): readonly StoredSnapshot[] {
  const newest = new Map<string, StoredSnapshot>();
  for (const one of snapshots) newest.set(JSON.stringify([one.hostname, componentOf(one)]), one);
  return [...newest.values()];
}
