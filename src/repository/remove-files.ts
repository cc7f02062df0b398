// Deletes files of a repository under an exclusive lock, looking again and again whether the lock is still ours.
import { forEachLimited } from '../base/for-each-limited.ts';
import { fileName, type FileIds, type FileKind } from './layout.ts';
import type { Lock } from './lock.ts';
import type { Repository } from './repository.ts';

const removalsPerCheck = 32;

/**
 * A power cut may bring removed files back, and those that say what there is (indexes, snapshots) must not come back after
 * what they speak of is gone. For whoever is about to remove that: an earlier process may have died before it said so.
 */
export async function settleRemovals(
  { store }: Pick<Repository, 'store'>,
  kinds: readonly FileKind[],
  signal: AbortSignal,
): Promise<void> {
  for (const kind of kinds) await store.settle?.(`${kind}/`, { signal });
}

export interface RemoveOptions {
  readonly lock: Lock;
  readonly signal: AbortSignal;
}

/** What is removed stays removed, also after a power cut; but for packs, which are no harm where nobody speaks of them. */
export async function removeFiles<Kind extends FileKind>(
  repository: Repository,
  files: { readonly kind: Kind; readonly ids: readonly FileIds[Kind][] },
  { lock, signal }: RemoveOptions,
): Promise<void> {
  const { store } = repository;
  for (let from = 0; from < files.ids.length; from += removalsPerCheck) {
    await lock.check();
    const some = files.ids.slice(from, from + removalsPerCheck);
    await forEachLimited(some, store.properties.connectionsMax, async (id) => {
      // A process that was suspended in between must not go on as if nothing had happened.
      lock.checkTime();
      await store.remove(fileName(files.kind, id), { signal });
    });
  }
  if (files.kind !== 'data' && files.ids.length > 0) await settleRemovals(repository, [files.kind], signal);
}
