// How much snapshots hold: to be restored, by distinct contents, and as stored.
import { plainBytesOf } from './blob-codec.ts';
import { blobMissing, readTree, type IndexedRepository } from './blob-reader.ts';
import { hashOf, type BlobId, type SnapshotId } from './ids.ts';
import { RecordSet } from './record-set.ts';
import type { StoredSnapshot } from './snapshot.ts';

export interface TreeTotals {
  readonly files: number;
  /** Folders, links and all else that is no file. */
  readonly others: number;
  /** What a restore writes; hard links count each time. */
  readonly bytes: number;
}

export interface RepositoryStats {
  readonly snapshots: readonly ({ readonly id: SnapshotId } & TreeTotals)[];
  /** Files with equal content counted once. */
  readonly contents: { readonly files: number; readonly bytes: number };
  /** Blobs that the snapshots need, each once. */
  readonly raw: {
    readonly blobs: number;
    readonly plainBytes: number;
    readonly storedBytes: number;
    /** Plain to stored; 1 if nothing is stored. */
    readonly compressionRatio: number;
  };
}

/** Each tree is read once. Rejects with `REPOSITORY_DAMAGED` if one can't be read. */
export async function computeStats(
  indexed: IndexedRepository,
  snapshots: Iterable<StoredSnapshot>,
  signal: AbortSignal,
): Promise<RepositoryStats> {
  const census = new Census(indexed, signal);
  const perSnapshot: RepositoryStats['snapshots'][number][] = [];
  for (const { id, tree } of snapshots) perSnapshot.push({ id, ...(await census.below(tree)) });
  return { snapshots: perSnapshot, contents: census.contents(), raw: census.raw() };
}

class Census {
  readonly #indexed: IndexedRepository;
  readonly #signal: AbortSignal;
  readonly #used: RecordSet;
  readonly #totals = new Map<number, TreeTotals>();
  /** The first 52 bits of a hash of each content: a number costs a tenth of a string, and two alike are a rare miscount. */
  readonly #contents = new Set<number>();
  #contentBytes = 0;

  constructor(indexed: IndexedRepository, signal: AbortSignal) {
    this.#indexed = indexed;
    this.#signal = signal;
    this.#used = new RecordSet(indexed.index.size);
  }

  async below(tree: BlobId): Promise<TreeTotals> {
    const record = this.#use('tree', tree);
    const known = this.#totals.get(record);
    if (known !== undefined) return known;
    this.#signal.throwIfAborted();
    const total = { files: 0, others: 0, bytes: 0 };
    for (const { type, content, subtree } of await readTree(this.#indexed, tree, this.#signal)) {
      if (type === 'file') {
        total.files += 1;
        total.bytes += this.#addContent(content ?? []);
      } else total.others += 1;
      if (type !== 'dir' || subtree === undefined) continue;
      const inside = await this.below(subtree);
      total.files += inside.files;
      total.others += inside.others;
      total.bytes += inside.bytes;
    }
    this.#totals.set(record, total);
    return total;
  }

  contents(): RepositoryStats['contents'] {
    return { files: this.#contents.size, bytes: this.#contentBytes };
  }

  raw(): RepositoryStats['raw'] {
    const { index } = this.#indexed;
    const raw = { blobs: this.#used.count, plainBytes: 0, storedBytes: 0 };
    for (let record = 0; record < index.size; record += 1) {
      if (!this.#used.has(record)) continue;
      raw.plainBytes += this.#plainBytes(record);
      raw.storedBytes += index.at(record).lengthBytes;
    }
    return { ...raw, compressionRatio: raw.storedBytes === 0 ? 1 : raw.plainBytes / raw.storedBytes };
  }

  #use(type: 'data' | 'tree', id: BlobId): number {
    const record = this.#indexed.index.recordOf(type, id);
    if (record < 0) throw blobMissing(type, id);
    this.#used.add(record);
    return record;
  }

  #plainBytes(record: number): number {
    return plainBytesOf(this.#indexed.index.at(record));
  }

  #addContent(content: readonly BlobId[]): number {
    const bytes = content.reduce((sum, id) => sum + this.#plainBytes(this.#use('data', id)), 0);
    const identity = Number.parseInt(hashOf(Buffer.from(content.join(''))).slice(0, 13), 16);
    if (!this.#contents.has(identity)) {
      this.#contents.add(identity);
      this.#contentBytes += bytes;
    }
    return bytes;
  }
}
