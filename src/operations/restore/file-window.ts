// The files of one window of a restore: compares what is there, fetches what is missing pack by pack, lets workers write
// it, and puts each complete file in its place.
import { closeSync, constants, ftruncateSync, openSync, renameSync } from 'node:fs';
import { fsPath } from '../../base/byte-name.ts';
import { AppError, asError, errnoOf, isAppError, messageOf, type ErrorCode } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { writePart } from '../../base/write-part.ts';
import { plainBytesOf } from '../../repository/blob-codec.ts';
import { blobMissing, readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import { fetchMaxBytes, planFetch, type FetchPiece, type WantedBlob } from '../../repository/fetch-plan.ts';
import type { BlobId } from '../../repository/ids.ts';
import { fileName } from '../../repository/layout.ts';
import { getInto, oversizeSlab, type SlabPool } from '../../repository/slab-pool.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { FailedWrite, RestoreTarget } from '../../repository/worker-protocol.ts';
import { besideName, lstatOrNone, refuseFolder, removeIfThere } from './place-entry.ts';

const filesMax = 10_000;
const bytesMax = 1024 * 1024 * 1024;

export interface FilePlace {
  readonly path: string;
  readonly place: string;
  readonly node: TreeNode;
}

interface PlacedChunk {
  readonly id: BlobId;
  readonly record: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

interface WindowFile extends FilePlace {
  /** `new`: nothing was there. `beside`: written under another name, then put in its place. `inside`: block by block. */
  way: 'new' | 'beside' | 'inside';
  /** What is there may already be what is wanted. */
  readonly isComparable: boolean;
  readonly existingBytes: number;
  state: 'unknown' | 'same' | 'writing';
  /** Chunks not yet written. */
  missing: number;
  /** Of its content, and what of that had to be written. */
  sizeBytes: number;
  missingBytes: number;
  problem: string | undefined;
  isDamaged: boolean;
}

export interface WindowOptions {
  readonly pool: Workers;
  /** Where stretches of packs are held, each of at most `fetchMaxBytes`. */
  readonly slabs: SlabPool;
  readonly signal: AbortSignal;
  readonly isDelta: boolean;
}

export interface RestoreProblem {
  readonly path: string;
  readonly message: string;
  /** Did not come back at all. */
  readonly isLost?: true;
  /** Where it is not the target's affair: `REPOSITORY_DAMAGED`. */
  readonly code?: ErrorCode;
}

export interface WindowResult {
  /** Files that hold what they should. */
  readonly complete: readonly FilePlace[];
  readonly problems: readonly RestoreProblem[];
  /** Of the complete files, and how much of that was fetched and written. */
  readonly bytes: number;
  readonly writtenBytes: number;
  /** Why the window was not carried through; then what is complete stays, what is not was removed. */
  readonly failure: Error | undefined;
}

export class FileWindow {
  readonly #indexed: IndexedRepository;
  readonly #options: WindowOptions;
  readonly #files: WindowFile[] = [];
  /** Files by the name they are written under. */
  readonly #written = new Map<string, WindowFile>();
  readonly #wanted = new Map<number, RestoreTarget[]>();
  readonly #notes: RestoreProblem[] = [];
  #failure: Error | undefined;
  #bytes = 0;

  constructor(indexed: IndexedRepository, options: WindowOptions) {
    this.#indexed = indexed;
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#files.length >= filesMax || this.#bytes >= bytesMax;
  }

  /** Throws if a folder is in the way. */
  add(entry: FilePlace): void {
    const { node, place } = entry;
    const found = lstatOrNone(place);
    if (found !== undefined) refuseFolder(found);
    // A name that the snapshot does not know of shares the file: it must keep its content and its mode.
    const isShared = found !== undefined && found.nlink > Math.max(1, node.links);
    const isComparable = found?.isFile() === true && !isShared;
    const isInside = isComparable && this.#options.isDelta && found.nlink === 1;
    const way = found === undefined ? 'new' : isInside ? 'inside' : 'beside';
    const existingBytes = found?.size ?? 0;
    this.#files.push({
      ...entry,
      way,
      isComparable,
      existingBytes,
      state: 'unknown',
      missing: 0,
      sizeBytes: 0,
      missingBytes: 0,
      problem: undefined,
      isDamaged: false,
    });
    this.#bytes += Math.max(0, node.sizeBytes);
  }

  /** Writes all files of the window. What can't be written is reported; its incomplete new file is removed. */
  async restore(onBytes: (bytes: number) => void): Promise<WindowResult> {
    const { pool, slabs } = this.#options;
    await this.#each(this.#files, pool.threadsMax + 1, async (file) => {
      onBytes(await this.#prepare(file));
    });
    await this.#each(planFetch(this.#indexed.index, this.#wanted), slabs.slabsMax, async (piece) => {
      await this.#restorePiece(piece);
      onBytes(piece.blobs.reduce((sum, blob) => sum + blob.targets.length * plainBytesOf(blob), 0));
    });
    const complete = this.#files.filter((file) => this.#settle(file));
    const broken = this.#files.flatMap(({ place, problem, isDamaged }): RestoreProblem[] =>
      problem === undefined
        ? []
        : [{ path: place, message: problem, isLost: true, ...(isDamaged && { code: 'REPOSITORY_DAMAGED' }) }],
    );
    const problems = [...broken, ...this.#notes];
    const bytes = complete.reduce((sum, file) => sum + file.sizeBytes, 0);
    const writtenBytes = complete.reduce((sum, file) => sum + file.missingBytes, 0);
    return { complete, problems, bytes, writtenBytes, failure: this.#failure };
  }

  /** In parallel: reading, opening and writing overlap. After a failure nothing new begins, and all has ended. */
  async #each<Item>(items: Iterable<Item>, lanes: number, work: (item: Item) => Promise<void>): Promise<void> {
    await forEachLimited(items, lanes, async (item) => {
      if (this.#failure !== undefined) return;
      try {
        this.#options.signal.throwIfAborted();
        await work(item);
      } catch (error) {
        this.#failure ??= asError(error);
      }
    });
  }

  /** Decides which chunks of a file are to be written, and asks for them. Returns how many bytes are right already. */
  async #prepare(file: WindowFile): Promise<number> {
    const chunks = this.#place(file);
    if (chunks === undefined) return 0;
    const sizeBytes = chunks.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    file.sizeBytes = sizeBytes;
    if (sizeBytes !== file.node.sizeBytes) {
      const message = `the snapshot says it has ${file.node.sizeBytes} bytes, its content has ${sizeBytes}`;
      this.#notes.push({ path: file.place, message });
    }
    const equal = await this.#compare(file, { chunks, sizeBytes });
    const isSame = file.isComparable && file.existingBytes === sizeBytes && equal.every(Boolean);
    if (isSame) {
      file.state = 'same';
      return sizeBytes;
    }
    const isInside = file.way === 'inside' && this.#openInside(file, sizeBytes);
    const missing = isInside ? chunks.filter((_, number) => equal[number] !== true) : chunks;
    if (!isInside && !this.#openFresh(file, { count: chunks.length, sizeBytes })) return 0;
    this.#want(file, missing);
    file.missingBytes = missing.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    return sizeBytes - file.missingBytes;
  }

  /** Where the chunks of a file go. Undefined if one is missing: then the file can't come back. */
  #place(file: WindowFile): PlacedChunk[] | undefined {
    const { index } = this.#indexed;
    let offsetBytes = 0;
    const chunks: PlacedChunk[] = [];
    for (const id of file.node.content ?? []) {
      const record = index.recordOf('data', id);
      if (record < 0) {
        file.problem = blobMissing('data', id).message;
        file.isDamaged = true;
        return undefined;
      }
      const lengthBytes = plainBytesOf(index.at(record));
      chunks.push({ id, record, offsetBytes, lengthBytes });
      offsetBytes += lengthBytes;
    }
    return chunks;
  }

  /** Which chunks an existing file has in the right place. Reading it is pointless where its size tells enough. */
  async #compare(
    file: WindowFile,
    { chunks, sizeBytes }: { readonly chunks: readonly PlacedChunk[]; readonly sizeBytes: number },
  ): Promise<readonly boolean[]> {
    if (!file.isComparable || (file.way !== 'inside' && file.existingBytes !== sizeBytes)) return [];
    const { equal } = await this.#options.pool.run('compare', { path: file.place, chunks });
    return equal;
  }

  /** False if the file can't be changed in place (write-protected, being executed): it is then replaced as a whole. */
  #openInside(file: WindowFile, sizeBytes: number): boolean {
    try {
      truncate(file.place, sizeBytes, 0);
      return true;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      file.way = 'beside';
      return false;
    }
  }

  /** Makes the new file at its full length. False if it can't be made. */
  #openFresh(file: WindowFile, { count, sizeBytes }: { count: number; sizeBytes: number }): boolean {
    const path = writtenPath(file);
    try {
      if (file.way === 'beside') removeIfThere(path);
      // A file of one chunk is made by the worker that writes it.
      if (count !== 1) truncate(path, sizeBytes, constants.O_CREAT | constants.O_EXCL);
      return true;
    } catch (error) {
      this.#fail(file, { message: messageOf(error), errno: errnoOf(error) });
      return false;
    }
  }

  #want(file: WindowFile, chunks: readonly PlacedChunk[]): void {
    const path = writtenPath(file);
    const isFresh = file.way !== 'inside';
    const isWhole = isFresh && file.node.content?.length === 1;
    file.state = 'writing';
    file.missing = chunks.length;
    this.#written.set(path, file);
    for (const { record, offsetBytes: positionBytes } of chunks) {
      const target = { path, positionBytes, isFresh, isWhole };
      const targets = this.#wanted.get(record);
      if (targets === undefined) this.#wanted.set(record, [target]);
      else targets.push(target);
    }
  }

  async #restorePiece(piece: FetchPiece<RestoreTarget>): Promise<void> {
    const { pool, slabs, signal } = this.#options;
    const { offsetBytes: offset, lengthBytes: length } = piece;
    using slab = length > fetchMaxBytes ? oversizeSlab(length) : await slabs.acquire();
    const { store } = this.#indexed.repository;
    let bytes: Uint8Array;
    try {
      bytes = await getInto(slab, store, { name: fileName('data', piece.pack), offset, length, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED')) throw error;
      for (const blob of piece.blobs) await this.#restoreElsewhere(blob);
      return;
    }
    const { damaged, failed } = await pool.run('restore', { bytes, blobs: piece.blobs });
    for (const write of failed) this.#failWrite(write);
    const bad = new Set(damaged.map(({ id }) => id));
    for (const blob of piece.blobs) {
      if (bad.has(blob.id)) await this.#restoreElsewhere(blob);
      else this.#countWritten(blob);
    }
  }

  /** The copy in this pack is bad: another copy, if there is one, else the files that need it are reported. */
  async #restoreElsewhere(blob: WantedBlob<RestoreTarget>): Promise<void> {
    let content: Buffer;
    try {
      content = await readBlob(this.#indexed, { type: 'data', id: blob.id }, this.#options.signal);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
      for (const { path } of blob.targets) {
        const file = this.#written.get(path);
        if (file !== undefined) file.isDamaged = true;
        this.#failWrite({ path, message: error.message, errno: undefined });
      }
      return;
    }
    for (const target of blob.targets) {
      try {
        writePart(target.path, content, { positionBytes: target.positionBytes, isNew: target.isWhole });
      } catch (error) {
        this.#failWrite({ path: target.path, message: messageOf(error), errno: errnoOf(error) });
      }
    }
    this.#countWritten(blob);
  }

  #countWritten(blob: WantedBlob<RestoreTarget>): void {
    for (const { path } of blob.targets) {
      const file = this.#written.get(path);
      if (file !== undefined) file.missing -= 1;
    }
  }

  #failWrite({ path, ...reason }: FailedWrite): void {
    const file = this.#written.get(path);
    if (file !== undefined) this.#fail(file, reason);
  }

  /** A full disk ends the restore: each further file would fail for the same reason. */
  #fail(file: WindowFile, { message, errno }: Omit<FailedWrite, 'path'>): void {
    file.problem ??= message;
    // Somebody else made it since we looked: it is not ours to remove.
    if (errno === 'EEXIST' && file.way === 'new') file.state = 'unknown';
    if (errno !== 'ENOSPC' && errno !== 'EDQUOT') return;
    this.#failure ??= new AppError('TARGET_SPACE', `no space is left for ${file.place}`, {
      hint: 'Free space there and run the command again: files that are complete are not written twice.',
    });
  }

  /** Puts a complete new file in the place of the old one; removes an incomplete one. True if it is complete. */
  #settle(file: WindowFile): boolean {
    if (file.state !== 'writing') return file.state === 'same';
    const isComplete = file.missing === 0 && file.problem === undefined;
    try {
      if (isComplete && file.way === 'beside') renameSync(fsPath(writtenPath(file)), fsPath(file.place));
      if (!isComplete && file.way !== 'inside') removeIfThere(writtenPath(file));
    } catch (error) {
      file.problem = messageOf(error);
      return false;
    }
    if (!isComplete && file.way === 'inside')
      file.problem = `${file.problem ?? 'it was not finished'}; it may hold old and new blocks now`;
    return isComplete;
  }
}

function writtenPath({ way, place }: WindowFile): string {
  return way === 'beside' ? besideName(place) : place;
}

function truncate(path: string, sizeBytes: number, flags: number): void {
  const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW | flags, 0o600);
  try {
    ftruncateSync(file, sizeBytes);
  } finally {
    closeSync(file);
  }
}
