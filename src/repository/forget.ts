// Removes snapshots. Which ones is decided elsewhere; the space they alone needed comes back with the next prune.
import type { SnapshotId } from './ids.ts';
import { acquireLock } from './lock.ts';
import { removeFiles } from './remove-files.ts';
import type { Repository } from './repository.ts';

export interface ForgetOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
}

/** Under an exclusive lock. One that is gone already counts as removed. */
export async function forgetSnapshots(
  repository: Repository,
  ids: readonly SnapshotId[],
  { signal: outer, lockWaitMs: waitMs = 0 }: ForgetOptions,
): Promise<void> {
  if (ids.length === 0) return;
  await using lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  await removeFiles(repository, { kind: 'snapshots', ids }, { lock, signal });
}
