// The files of one window of a restore: prepares their places, fetches their blobs pack by pack, lets workers write them.
import { closeSync, constants, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { randomBytes } from 'node:crypto';
import { fsPath } from '../../base/byte-name.ts';
import { AppError, messageOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { blobMissing, readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import { planFetch, type FetchPiece, type WantedBlob } from '../../repository/fetch-plan.ts';
import type { BlobId } from '../../repository/ids.ts';
import { fileName } from '../../repository/layout.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { WorkerPool } from '../../repository/worker-pool.ts';
import type { RestoreTarget } from '../../repository/worker-protocol.ts';
import { lstatOrNone, removeAny } from './place-entry.ts';

const filesMax = 10_000;
const bytesMax = 1024 * 1024 * 1024;

export interface FilePlace {
  readonly path: string;
  readonly place: string;
  readonly node: TreeNode;
}

interface WindowFile extends FilePlace {
  /** Where it is written: the place itself, or a name beside it that takes its place when complete. */
  readonly written: string;
  readonly isExisting: boolean;
}

export interface WindowOptions {
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  readonly isDelta: boolean;
}

interface Problem {
  readonly path: string;
  readonly message: string;
}

export class FileWindow {
  readonly #indexed: IndexedRepository;
  readonly #options: WindowOptions;
  readonly #files: WindowFile[] = [];
  /** Files by the path they are written under: workers report problems by it. */
  readonly #broken = new Map<string, string>();
  #bytes = 0;
  #writtenBytes = 0;

  constructor(indexed: IndexedRepository, options: WindowOptions) {
    this.#indexed = indexed;
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#files.length >= filesMax || this.#bytes >= bytesMax;
  }

  get files(): readonly FilePlace[] {
    return this.#files;
  }

  add(entry: FilePlace): void {
    const found = lstatOrNone(entry.place);
    const isExisting = found?.isFile() === true;
    if (found !== undefined && !isExisting) removeAny(entry.place);
    const isInPlace = !isExisting || (this.#options.isDelta && found.nlink === 1);
    const written = isInPlace ? entry.place : besideName(entry.place);
    this.#files.push({ ...entry, written, isExisting });
    this.#bytes += entry.node.sizeBytes;
  }

  /** Writes all files of the window. What can't be written is reported; its incomplete new file is removed. */
  async restore(
    onBytes: (bytes: number) => void,
  ): Promise<{ readonly problems: readonly Problem[]; readonly writtenBytes: number }> {
    const wanted = new Map<number, RestoreTarget[]>();
    const incomplete: WindowFile[] = [];
    for (const file of this.#files) {
      if (file.isExisting && (await this.#compare(file, wanted))) onBytes(file.node.sizeBytes);
      else if (this.#prepare(file, wanted)) incomplete.push(file);
    }
    await this.#fetch(planFetch(this.#indexed.index, wanted), onBytes);
    const problems: Problem[] = [];
    for (const file of incomplete) this.#settle(file);
    for (const file of this.#files) {
      const message = this.#broken.get(file.written);
      if (message !== undefined) problems.push({ path: file.place, message });
    }
    return { problems, writtenBytes: this.#writtenBytes };
  }

  /** Pieces in parallel: reading, opening and writing overlap. */
  async #fetch(pieces: readonly FetchPiece[], onBytes: (bytes: number) => void): Promise<void> {
    const { pool, signal } = this.#options;
    const { store } = this.#indexed.repository;
    const lanes = Math.max(pool.threadsMax + 1, Math.min(store.properties.connectionsMax, 8));
    await forEachLimited(pieces, lanes, async (piece) => {
      signal.throwIfAborted();
      await this.#restorePiece(piece);
      const bytes = piece.blobs.reduce((sum, blob) => sum + blob.targets.length * plainBytes(blob), 0);
      this.#writtenBytes += bytes;
      onBytes(bytes);
    });
  }

  async #restorePiece(piece: FetchPiece): Promise<void> {
    const { pool, signal } = this.#options;
    const { offsetBytes: offset, lengthBytes: length } = piece;
    let bytes: Buffer;
    try {
      bytes = await this.#indexed.repository.store.get(fileName('data', piece.pack), { offset, length, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError) || error.code !== 'OBJECT_MISSING') throw error;
      for (const blob of piece.blobs) await this.#restoreElsewhere(blob);
      return;
    }
    const { damaged, failed } = await pool.run('restore', { bytes, blobs: piece.blobs });
    for (const { path, message } of failed) this.#broken.set(path, message);
    for (const { id } of damaged) {
      const blob = piece.blobs.find((each) => each.id === id);
      if (blob !== undefined) await this.#restoreElsewhere(blob);
    }
  }

  /** The copy in this pack is bad: another copy, if there is one, else the files that need it are reported. */
  async #restoreElsewhere(blob: WantedBlob): Promise<void> {
    let content: Buffer;
    try {
      content = await readBlob(this.#indexed, { type: 'data', id: blob.id }, this.#options.signal);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      for (const { path } of blob.targets) this.#broken.set(path, messageOf(error));
      return;
    }
    for (const { path, positionBytes } of blob.targets) {
      const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_CREAT, 0o600);
      try {
        for (let done = 0; done < content.length;)
          done += writeSync(file, content, done, content.length - done, positionBytes + done);
      } finally {
        closeSync(file);
      }
    }
  }

  /** Whether an existing file holds the right bytes. In delta mode differing blocks are asked for in place. */
  async #compare(file: WindowFile, wanted: Map<number, RestoreTarget[]>): Promise<boolean> {
    const chunks = this.#place(file);
    if (chunks === undefined) return true;
    const { equal, sizeBytes } = await this.#options.pool.run('compare', { path: file.place, chunks });
    const isSame = equal.every(Boolean) && sizeBytes === file.node.sizeBytes;
    if (isSame || file.written !== file.place) return isSame;
    truncate(file.place, file.node.sizeBytes, 0);
    for (const [number, chunk] of chunks.entries()) {
      if (equal[number] === true) continue;
      want(wanted, chunk.record, {
        path: file.place,
        positionBytes: chunk.offsetBytes,
        isFresh: false,
        isWhole: false,
      });
    }
    return true;
  }

  /** Makes the file at its full length and asks for its chunks. False if it can't be. */
  #prepare(file: WindowFile, wanted: Map<number, RestoreTarget[]>): boolean {
    const chunks = this.#place(file);
    if (chunks === undefined) return false;
    try {
      // A file of one chunk is made by the worker that writes it.
      if (chunks.length !== 1) truncate(file.written, file.node.sizeBytes, constants.O_CREAT | constants.O_EXCL);
    } catch (error) {
      this.#broken.set(file.written, messageOf(error));
      return false;
    }
    for (const { record, offsetBytes } of chunks) {
      want(wanted, record, {
        path: file.written,
        positionBytes: offsetBytes,
        isFresh: true,
        isWhole: chunks.length === 1,
      });
    }
    return true;
  }

  /** Puts the complete new file in the place of the old one; removes an incomplete one. */
  #settle(file: WindowFile): void {
    try {
      if (this.#broken.has(file.written)) rmSync(fsPath(file.written), { force: true });
      else if (file.written !== file.place) renameSync(fsPath(file.written), fsPath(file.place));
    } catch (error) {
      this.#broken.set(file.written, messageOf(error));
    }
  }

  #place(file: WindowFile): { id: BlobId; record: number; offsetBytes: number; lengthBytes: number }[] | undefined {
    const { index } = this.#indexed;
    let offsetBytes = 0;
    const chunks: { id: BlobId; record: number; offsetBytes: number; lengthBytes: number }[] = [];
    for (const id of file.node.content ?? []) {
      const record = index.recordOf('data', id);
      if (record < 0) {
        this.#broken.set(file.written, blobMissing('data', id).message);
        return undefined;
      }
      const lengthBytes = plainBytes(index.at(record));
      chunks.push({ id, record, offsetBytes, lengthBytes });
      offsetBytes += lengthBytes;
    }
    return chunks;
  }
}

/** Bytes of content; the seal of an uncompressed blob takes 32. */
function plainBytes(blob: { readonly plainLengthBytes: number; readonly lengthBytes: number }): number {
  return blob.plainLengthBytes === 0 ? blob.lengthBytes - 32 : blob.plainLengthBytes;
}

function want(wanted: Map<number, RestoreTarget[]>, record: number, target: RestoreTarget): void {
  const targets = wanted.get(record);
  if (targets === undefined) wanted.set(record, [target]);
  else targets.push(target);
}

function truncate(path: string, sizeBytes: number, flags: number): void {
  const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW | flags, 0o600);
  try {
    ftruncateSync(file, sizeBytes);
  } finally {
    closeSync(file);
  }
}

function besideName(place: string): string {
  return `${dirname(place)}/.lifeboat-${randomBytes(6).toString('hex')}`;
}
