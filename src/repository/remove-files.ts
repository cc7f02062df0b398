// Deletes files of a repository under an exclusive lock, looking again and again whether the lock is still ours.
import { forEachLimited } from '../base/for-each-limited.ts';
import { fileName, type FileIds, type FileKind } from './layout.ts';
import type { Lock } from './lock.ts';
import type { Repository } from './repository.ts';

const removalsPerCheck = 32;

export interface RemoveOptions {
  readonly lock: Lock;
  readonly signal: AbortSignal;
}

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
}
