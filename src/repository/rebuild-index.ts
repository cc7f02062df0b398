// Makes the index anew from the packs' own headers: for when index files are lost or damaged.
import { forEachLimited } from '../base/for-each-limited.ts';
import { isAppError, messageOf } from '../base/errors.ts';
import { encodeIndex, indexBlobsMax, placeEntries, type IndexedPack } from './index-file.ts';
import { fileName, listFiles, type ListedFile } from './layout.ts';
import { acquireLock } from './lock.ts';
import type { PackEntry } from './pack-header.ts';
import { readPackHeader } from './read-pack-header.ts';
import { removeFiles } from './remove-files.ts';
import { isMissing, listIds, saveJson, type Repository } from './repository.ts';

export interface RebuildOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
  onProgress?(progress: { readonly donePacks: number; readonly totalPacks: number }): void;
}

export interface RebuiltIndex {
  readonly packs: number;
  readonly blobs: number;
  readonly indexesWritten: number;
  readonly indexesRemoved: number;
  /** Packs whose header can't be read; nothing of them is in the index now. */
  readonly unreadable: readonly { readonly file: string; readonly message: string }[];
}

/**
 * New index files are complete before the old ones go, so a crash leaves both, which is harmless. A store that fails
 * ends it: only what is damaged or gone is left out.
 */
export async function rebuildIndex(repository: Repository, options: RebuildOptions): Promise<RebuiltIndex> {
  const { signal: outer, lockWaitMs: waitMs = 0 } = options;
  await using lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  const old = await listIds(repository, 'index', signal);
  const files = await Array.fromAsync(listFiles(repository.store, 'data', signal));
  const found = { packs: 0, blobs: 0, indexesWritten: 0, unreadable: [] as { file: string; message: string }[] };
  let packs: IndexedPack[] = [];
  let waitingBlobs = 0;
  const flush = async (): Promise<void> => {
    const batch = packs;
    packs = [];
    waitingBlobs = 0;
    await lock.check();
    await saveJson(repository, { kind: 'index', json: encodeIndex(batch) }, signal);
    found.indexesWritten += 1;
  };
  let donePacks = 0;
  await forEachLimited(files, repository.store.properties.connectionsMax, async (file) => {
    const read = await readOne(repository, file, signal);
    options.onProgress?.({ donePacks: (donePacks += 1), totalPacks: files.length });
    if (!Array.isArray(read)) {
      found.unreadable.push(read);
      return;
    }
    found.packs += 1;
    found.blobs += read.length;
    if (packs.length > 0 && waitingBlobs + read.length > indexBlobsMax) await flush();
    packs.push({ id: file.id, entries: placeEntries(read) });
    waitingBlobs += read.length;
  });
  if (packs.length > 0) await flush();
  await removeFiles(repository, { kind: 'index', ids: old }, { lock, signal });
  return { ...found, indexesRemoved: old.length };
}

async function readOne(
  repository: Repository,
  file: ListedFile<'data'>,
  signal: AbortSignal,
): Promise<PackEntry[] | { file: string; message: string }> {
  try {
    return await readPackHeader(repository, file, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error) && !isMissing(error)) throw error;
    return { file: fileName('data', file.id), message: messageOf(error) };
  }
}
