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
  const wanted: StoredSnapshot[] = [];
  for (const id of new Set(options.snapshots)) wanted.push(await loadSnapshot(source, id, signal));
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
  readonly #seen: RecordSet;
  readonly #copied: CopiedSnapshot[] = [];
  /** Records of the source whose blobs the target lacks, not yet sent. */
  #missing: number[] = [];
  #missingBytes = 0;
  #waiting: StoredSnapshot[] = [];
  #trees = 0;
  #blobs = 0;
  #doneBytes = 0;
  #totalBytes = 0;

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.#seen = new RecordSet(parts.source.index.size);
  }

  async perform(wanted: readonly StoredSnapshot[], known: readonly StoredSnapshot[]): Promise<CopyResult> {
    const { options, signal, target, targetLock, source } = this.#parts;
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
      await sweepTrees(source, [{ id: snapshot.tree, path: snapshot.id.slice(0, 8) }], {
        signal,
        seen: this.#seen,
        visit: ({ id, nodes }) => {
          this.#want('tree', id);
          for (const { type, content } of nodes)
            if (type === 'file') for (const blob of content ?? []) this.#want('data', blob);
          this.#trees += 1;
          this.#report();
        },
        onUnreadable: (_, error) => {
          throw error;
        },
      });
      this.#waiting.push(snapshot);
      if (this.#missingBytes >= batchBytes) await this.#flush(writer);
    }
    await this.#flush(writer);
    return { snapshots: this.#copied, blobs: this.#blobs, blobBytes: this.#doneBytes };
  }

  /** Trees are walked even if the target has them: it may have lost what they refer to when it was pruned. */
  #want(type: 'data' | 'tree', id: StoredSnapshot['tree']): void {
    const { source, target } = this.#parts;
    const record = source.index.recordOf(type, id);
    if (record < 0) throw blobMissing(type, id);
    if (type === 'data' && !this.#seen.add(record)) return;
    if (target.index.has(type, id)) return;
    const { lengthBytes } = source.index.at(record);
    this.#missing.push(record);
    this.#missingBytes += lengthBytes;
    this.#totalBytes += lengthBytes;
  }

  /** Packs, then index, then the snapshots that need them. */
  async #flush(writer: PackWriter): Promise<void> {
    const { signal, source, target, targetLock, pool } = this.#parts;
    const records = this.#missing;
    this.#missing = [];
    this.#missingBytes = 0;
    await transferBlobs(source, records, {
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
    this.#parts.options.onProgress?.({ trees: this.#trees, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
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
