// Copies snapshots from one repository to another: no source is read again, what the target has is not sent again, and
// nothing is compressed anew. Both keep their own keys.
import { RecordSet } from './record-set.ts';
import { blobMissing, type IndexedRepository } from './blob-reader.ts';
import { parseTime } from './go-text.ts';
import type { SnapshotId } from './ids.ts';
import { loadIndex } from './load-index.ts';
import { acquireLock, type Lock } from './lock.ts';
import { PackWriter } from './pack-writer.ts';
import type { Repository } from './repository.ts';
import { loadSnapshot, loadSnapshots, saveSnapshot, withoutId, type StoredSnapshot } from './snapshot.ts';
import { sweepTrees } from './sweep-trees.ts';
import { transferBlobs } from './transfer-blobs.ts';
import { workersFor, type Workers } from './worker-pool.ts';

export interface CopyOptions {
  /** Of the source. */
  readonly snapshots: readonly SnapshotId[];
  /** Threads with the source's keys; its own if absent. */
  readonly pool?: Workers | undefined;
  readonly packTargetBytes?: number | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly signal: AbortSignal;
  onProgress?(progress: CopyProgress): void;
}

export interface CopyProgress {
  readonly trees: number;
  /** Of the blobs known to be missing so far. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface CopiedSnapshot {
  readonly from: SnapshotId;
  readonly to: SnapshotId;
  /** The target had it already. */
  readonly wasThere: boolean;
}

export interface CopyResult {
  readonly snapshots: readonly CopiedSnapshot[];
  readonly blobs: number;
  /** As stored in the source. */
  readonly blobBytes: number;
}

/** Snapshots become visible when at least so much was copied for them, so that a long copy is useful before its end. */
const batchBytes = 4 * 1024 * 1024 * 1024;

/**
 * Takes a lock on both sides before it looks at either index. If it is cut short, what was stored and listed is found
 * again by the next run. Rejects with `REPOSITORY_DAMAGED` if the source lacks something; snapshots copied before stay.
 */
export async function copySnapshots(source: Repository, target: Repository, options: CopyOptions): Promise<CopyResult> {
  const { lockWaitMs: waitMs = 0 } = options;
  const lockOptions = { isExclusive: false, signal: options.signal, waitMs };
  await using sourceLock = await acquireLock(source, lockOptions);
  await using targetLock = await acquireLock(target, lockOptions);
  const signal = AbortSignal.any([options.signal, sourceLock.signal, targetLock.signal]);
  const wanted = await loadAll(source, options.snapshots, signal);
  // Of a damaged one in the target nobody knows whose copy it is: at worst there is one more.
  const known = await loadSnapshots(target, signal, () => undefined);
  await using pool = workersFor(source, options.pool);
  const run = new CopyRun({
    options,
    signal,
    targetLock,
    pool,
    source: { repository: source, index: await loadIndex(source, signal) },
    target: { repository: target, index: await loadIndex(target, signal) },
  });
  return await run.perform(wanted, known);
}

export interface CopyDecision {
  /** Of the source, which the target has not. */
  readonly missing: readonly StoredSnapshot[];
  readonly alreadyThere: readonly StoredSnapshot[];
  readonly blobs: number;
  /** As stored in the source. */
  readonly blobBytes: number;
}

/** What `copySnapshots` would send: reads all trees, takes no lock, writes nothing. Rejects as a copy would. */
export async function decideCopy(
  source: Repository,
  target: Repository,
  { snapshots, signal, onProgress }: Pick<CopyOptions, 'snapshots' | 'signal' | 'onProgress'>,
): Promise<CopyDecision> {
  const wanted = await loadAll(source, snapshots, signal);
  const known = await loadSnapshots(target, signal, () => undefined);
  const missing = wanted.filter((snapshot) => !known.some((each) => isCopyOf(each, snapshot)));
  const blobs = new MissingBlobs(
    { repository: source, index: await loadIndex(source, signal) },
    { repository: target, index: await loadIndex(target, signal) },
  );
  for (const snapshot of missing) {
    await blobs.collect(snapshot, signal, () =>
      onProgress?.({ trees: blobs.trees, doneBytes: 0, totalBytes: blobs.waitingBytes }),
    );
  }
  const alreadyThere = wanted.filter((snapshot) => !missing.includes(snapshot));
  return { missing, alreadyThere, blobBytes: blobs.waitingBytes, blobs: blobs.take().length };
}

async function loadAll(source: Repository, ids: readonly SnapshotId[], signal: AbortSignal): Promise<StoredSnapshot[]> {
  const loaded: StoredSnapshot[] = [];
  for (const id of new Set(ids)) loaded.push(await loadSnapshot(source, id, signal));
  return loaded;
}

/** Walks snapshots of the source and gathers the blobs that the target lacks, each once. */
class MissingBlobs {
  readonly #source: IndexedRepository;
  readonly #target: IndexedRepository;
  readonly #seen: RecordSet;
  /** Records of the source, not yet sent. */
  #waiting: number[] = [];
  waitingBytes = 0;
  totalBytes = 0;
  trees = 0;

  constructor(source: IndexedRepository, target: IndexedRepository) {
    this.#source = source;
    this.#target = target;
    this.#seen = new RecordSet(source.index.size);
  }

  async collect(snapshot: StoredSnapshot, signal: AbortSignal, onTree: () => void): Promise<void> {
    await sweepTrees(this.#source, [{ id: snapshot.tree, path: snapshot.id.slice(0, 8) }], {
      signal,
      seen: this.#seen,
      visit: ({ id, nodes }) => {
        this.#want('tree', id);
        for (const { type, content } of nodes)
          if (type === 'file') for (const blob of content ?? []) this.#want('data', blob);
        this.trees += 1;
        onTree();
      },
      onUnreadable: (_, error) => {
        throw error;
      },
    });
  }

  /** Those gathered since the last call. */
  take(): readonly number[] {
    const records = this.#waiting;
    this.#waiting = [];
    this.waitingBytes = 0;
    return records;
  }

  /** Trees are walked even if the target has them: it may have lost what they refer to when it was pruned. */
  #want(type: 'data' | 'tree', id: StoredSnapshot['tree']): void {
    const { index } = this.#source;
    const record = index.recordOf(type, id);
    if (record < 0) throw blobMissing(type, id);
    if (type === 'data' && !this.#seen.add(record)) return;
    if (this.#target.index.has(type, id)) return;
    const { lengthBytes } = index.at(record);
    this.#waiting.push(record);
    this.waitingBytes += lengthBytes;
    this.totalBytes += lengthBytes;
  }
}

interface CopyParts {
  readonly options: CopyOptions;
  readonly signal: AbortSignal;
  readonly targetLock: Lock;
  readonly source: IndexedRepository;
  readonly target: IndexedRepository;
  readonly pool: Workers;
}

class CopyRun {
  readonly #parts: CopyParts;
  readonly #missing: MissingBlobs;
  readonly #copied: CopiedSnapshot[] = [];
  #waiting: StoredSnapshot[] = [];
  #blobs = 0;
  #doneBytes = 0;

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.#missing = new MissingBlobs(parts.source, parts.target);
  }

  async perform(wanted: readonly StoredSnapshot[], known: readonly StoredSnapshot[]): Promise<CopyResult> {
    const { options, signal, target, targetLock } = this.#parts;
    await using writer = new PackWriter(target.repository, target.index, {
      signal,
      beforeIndex: () => targetLock.check(),
      packTargetBytes: options.packTargetBytes,
    });
    for (const snapshot of wanted) {
      const there = known.find((each) => isCopyOf(each, snapshot));
      if (there !== undefined) {
        this.#copied.push({ from: snapshot.id, to: there.id, wasThere: true });
        continue;
      }
      await this.#missing.collect(snapshot, signal, () => this.#report());
      this.#waiting.push(snapshot);
      if (this.#missing.waitingBytes >= batchBytes) await this.#flush(writer);
    }
    await this.#flush(writer);
    return { snapshots: this.#copied, blobs: this.#blobs, blobBytes: this.#doneBytes };
  }

  /** Packs, then index, then the snapshots that need them. */
  async #flush(writer: PackWriter): Promise<void> {
    const { signal, source, target, targetLock, pool } = this.#parts;
    await transferBlobs(source, this.#missing.take(), {
      writer,
      pool,
      signal,
      targetKeys: target.repository.keys,
      onBlob: ({ lengthBytes }) => {
        this.#blobs += 1;
        this.#doneBytes += lengthBytes;
        this.#report();
      },
    });
    await writer.finish();
    for (const snapshot of this.#waiting) {
      await targetLock.check();
      const copy = { ...withoutId(snapshot), parent: undefined, original: snapshot.original ?? snapshot.id };
      const saved = await saveSnapshot(target.repository, copy, signal);
      this.#copied.push({ from: snapshot.id, to: saved.id, wasThere: false });
    }
    this.#waiting = [];
    this.#report();
  }

  #report(): void {
    const { trees, totalBytes } = this.#missing;
    this.#parts.options.onProgress?.({ trees, doneBytes: this.#doneBytes, totalBytes });
  }
}

/** As restic recognises what was copied before: the same original, and the same content of the same moment. */
function isCopyOf(there: StoredSnapshot, snapshot: StoredSnapshot): boolean {
  const origin = snapshot.original ?? snapshot.id;
  return (
    (there.original === origin || there.id === origin) &&
    there.tree === snapshot.tree &&
    parseTime(there.time) === parseTime(snapshot.time) &&
    there.hostname === snapshot.hostname &&
    there.paths.toSorted().join('\0') === snapshot.paths.toSorted().join('\0')
  );
}
