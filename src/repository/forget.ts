// Removes snapshots. Which ones is decided by the caller; the space they alone needed comes back with the next prune.
import type { SnapshotId } from './ids.ts';
import { acquireLock } from './lock.ts';
import { removeFiles } from './remove-files.ts';
import type { Repository } from './repository.ts';

export interface ForgetOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
}

/** Asked once the exclusive lock is held, when nobody else can add or remove a snapshot any more. */
type ChooseSnapshots = (signal: AbortSignal) => Promise<readonly SnapshotId[]>;

/** Under an exclusive lock. One that is gone already counts as removed. */
export async function forgetSnapshots(
  repository: Repository,
  chosen: readonly SnapshotId[] | ChooseSnapshots,
  { signal: outer, lockWaitMs: waitMs = 0 }: ForgetOptions,
): Promise<void> {
  if (typeof chosen !== 'function' && chosen.length === 0) return;
  await using lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  const ids = typeof chosen === 'function' ? await chosen(signal) : chosen;
  await removeFiles(repository, { kind: 'snapshots', ids }, { lock, signal });
}
