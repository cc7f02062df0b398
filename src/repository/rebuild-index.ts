// Makes the index anew from the packs' own headers: for when index files are lost or damaged. Of a pack whose header is
// damaged the old index may still tell what it holds: without it good blobs would be lost for the sake of a few bytes.
import { forEachLimited } from '../base/for-each-limited.ts';
import { isAppError, messageOf } from '../base/errors.ts';
import { encodeIndex, indexBlobsMax, placeEntries, type IndexedPack } from './index-file.ts';
import type { IndexId, PackId } from './ids.ts';
import { fileName, listFiles, type ListedFile } from './layout.ts';
import { loadIndexFile } from './load-index.ts';
import { acquireLock } from './lock.ts';
import { packSizeOf, type PackEntry } from './pack-header.ts';
import { readPackHeader } from './read-pack-header.ts';
import { removeFiles } from './remove-files.ts';
import { isMissing, listIds, saveJson, type Repository } from './repository.ts';

export interface RebuildOptions {
  /** Only read the packs' headers, under a shared lock, and count. */
  readonly isDryRun?: boolean | undefined;
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
  onProgress?(progress: { readonly donePacks: number; readonly totalPacks: number }): void;
}

export interface RebuiltIndex {
  readonly packs: number;
  readonly blobs: number;
  readonly indexesWritten: number;
  readonly indexesRemoved: number;
  /** Packs whose header can't be read, but what an old index file said of them fits their size and was taken over. */
  readonly takenOver: readonly UnreadablePack[];
  /** Packs whose header can't be read; nothing of them is in the index now. */
  readonly unreadable: readonly UnreadablePack[];
}

interface UnreadablePack {
  readonly file: string;
  readonly message: string;
}

/**
 * New index files are complete before the old ones go, so a crash leaves both, which is harmless. A store that fails
 * ends it: only what is damaged or gone is left out.
 */
export async function rebuildIndex(repository: Repository, options: RebuildOptions): Promise<RebuiltIndex> {
  const { signal: outer, lockWaitMs: waitMs = 0, isDryRun = false } = options;
  await using lock = await acquireLock(repository, { isExclusive: !isDryRun, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  const old = await listIds(repository, 'index', signal);
  const files = await Array.fromAsync(listFiles(repository.store, 'data', signal));
  const found = { packs: 0, blobs: 0, indexesWritten: 0, unreadable: [] as UnreadablePack[] };
  const headless = new Map<PackId, UnreadablePack & { readonly sizeBytes: number }>();
  let packs: IndexedPack[] = [];
  let waitingBlobs = 0;
  const flush = async (): Promise<void> => {
    const batch = packs;
    packs = [];
    waitingBlobs = 0;
    found.indexesWritten += 1;
    if (isDryRun) return;
    await lock.check();
    await saveJson(repository, { kind: 'index', json: encodeIndex(batch) }, signal);
  };
  const add = async (pack: IndexedPack): Promise<void> => {
    found.packs += 1;
    found.blobs += pack.entries.length;
    if (packs.length > 0 && waitingBlobs + pack.entries.length > indexBlobsMax) await flush();
    packs.push(pack);
    waitingBlobs += pack.entries.length;
  };
  let donePacks = 0;
  await forEachLimited(files, repository.store.properties.connectionsMax, async (file) => {
    const read = await readOne(repository, file, signal);
    options.onProgress?.({ donePacks: (donePacks += 1), totalPacks: files.length });
    if (Array.isArray(read)) await add({ id: file.id, entries: placeEntries(read) });
    else if (read.isGone) found.unreadable.push({ file: read.file, message: read.message });
    else headless.set(file.id, { file: read.file, message: read.message, sizeBytes: file.sizeBytes });
  });
  const takenOver: UnreadablePack[] = [];
  for await (const pack of headless.size > 0 ? listedPacks(repository, old, signal) : []) {
    const { file, message, sizeBytes } = headless.get(pack.id) ?? {};
    if (file === undefined || message === undefined || packSizeOf(pack.entries) !== sizeBytes) continue;
    headless.delete(pack.id);
    takenOver.push({ file, message });
    await add(pack);
  }
  for (const { file, message } of headless.values()) found.unreadable.push({ file, message });
  if (packs.length > 0) await flush();
  if (!isDryRun) await removeFiles(repository, { kind: 'index', ids: old }, { lock, signal });
  return { ...found, takenOver, indexesRemoved: old.length };
}

/** What old index files say; those that can't be read say nothing. */
async function* listedPacks(
  repository: Repository,
  old: readonly IndexId[],
  signal: AbortSignal,
): AsyncGenerator<IndexedPack> {
  for (const id of old) {
    try {
      yield* await loadIndexFile(repository, id, signal);
    } catch (error) {
      if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    }
  }
}

async function readOne(
  repository: Repository,
  file: ListedFile<'data'>,
  signal: AbortSignal,
): Promise<PackEntry[] | (UnreadablePack & { readonly isGone: boolean })> {
  try {
    return await readPackHeader(repository, file, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error) && !isMissing(error)) throw error;
    return { file: fileName('data', file.id), message: messageOf(error), isGone: isMissing(error) };
  }
}
