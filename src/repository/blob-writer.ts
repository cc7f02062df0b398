// The write path: files, streams and trees → chunks → known? → workers compress and seal → packs.
// Memory is bounded by a fixed set of slabs; whoever has no slab waits, back to the disk or the socket.
import assert from 'node:assert/strict';
import { asError } from '../base/errors.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { BlobIndex } from './blob-index.ts';
import { chunkMaxBytes, chunkMinBytes } from './chunker.ts';
import { pageChunkBytes } from './chunker-pages.ts';
import { collectGarbage } from '../base/collect-garbage.ts';
import type { ChunkerName } from './create-chunker.ts';
import { hashOf, type BlobId } from './ids.ts';
import type { BlobType } from './pack-header.ts';
import { PackWriter, type PackWriterOptions } from './pack-writer.ts';
import type { Repository } from './repository.ts';
import { fillArea, oversizeSlab, SlabPool, type Slab } from './slab-pool.ts';
import { StreamScan } from './stream-scan.ts';
import type { Workers } from './worker-pool.ts';
import type { Chunk, ChunkPlace, ScanFile, ScannedFile, SealedRun } from './worker-protocol.ts';

/** Holds the largest chunk and leaves room to find its end. */
const slabBytes = chunkMaxBytes + 256 * 1024;
const filesPerBatchMax = 256;
const batchBytesMax = 4 * 1024 * 1024;
const largeFilesMax = 2;
const treeRunBytes = 1024 * 1024;
/** Blobs whose bytes came with their ids known wait until so many bytes are together: a worker's turn costs a message. */
const blobRunBytes = 4 * 1024 * 1024;

export interface SavedContent {
  readonly content: readonly BlobId[];
  readonly sizeBytes: number;
  /** The file was not the same at the end as at the beginning. */
  readonly isChanged: boolean;
}

/** Memory for chunks that somebody puts together; dispose it if they are not saved. */
export interface ChunkStretch extends Disposable {
  /** They go into its fill area, one after another. */
  readonly memory: SharedArrayBuffer;
  /** Takes the memory over. Resolves with the ids once they are known; stored for sure when `finish` resolves. */
  save(pieces: readonly ChunkPlace[]): Promise<readonly BlobId[]>;
}

export type SavedFile = SavedContent | { readonly problem: string };

export interface BlobWriterOptions extends PackWriterOptions {
  readonly pool: Workers;
  readonly chunker: ChunkerName;
  /** zstd level; 0 stores data as it is. */
  readonly compressionLevel: number;
  /** Called with bytes read from the source. */
  readonly onRead?: ((bytes: number) => void) | undefined;
}

export interface WriterCounts {
  dataBlobs: number;
  treeBlobs: number;
  /** Before compression. */
  addedBytes: number;
  /** Sealed, without pack headers. */
  addedPackedBytes: number;
}

interface PendingFile {
  readonly file: ScanFile;
  readonly resolve: (saved: SavedFile | Promise<SavedFile>) => void;
  readonly reject: (error: unknown) => void;
}

/** Blobs with known ids that wait for company. */
interface BlobRun {
  readonly slab: Slab;
  readonly blobs: Chunk[];
  filledBytes: number;
}

export class BlobWriter implements AsyncDisposable {
  readonly counts: WriterCounts = { dataBlobs: 0, treeBlobs: 0, addedBytes: 0, addedPackedBytes: 0 };
  readonly #packs: PackWriter;
  readonly #options: BlobWriterOptions;
  readonly #slabs: SlabPool;
  readonly #largeFiles = new Semaphore(largeFilesMax);
  readonly #underway = new Set<Promise<unknown>>();
  #batch: PendingFile[] = [];
  #batchBytes = 0;
  #trees: { readonly id: BlobId; readonly bytes: Uint8Array }[] = [];
  #treeBytes = 0;
  #run: BlobRun | undefined;
  #failure: Error | undefined;

  constructor(repository: Repository, index: BlobIndex, options: BlobWriterOptions) {
    this.#options = options;
    this.#packs = new PackWriter(repository, index, options);
    this.#slabs = new SlabPool(options.pool.threadsMax + 1, slabBytes);
  }

  /** The size of chunks where all but a file's last have the same. */
  get fixedChunkBytes(): number | undefined {
    return pageChunkBytes(this.#options.chunker);
  }

  /** Whether a blob need not be saved again. */
  isKnown(type: BlobType, id: BlobId): boolean {
    return this.#packs.isKnown(type, id);
  }

  /** Stores all trees again that come from now on: one that is stored can't be read. */
  distrustTrees(): void {
    this.#packs.distrustTrees();
  }

  /**
   * Takes a file of this machine. Resolves once it is accepted, so that a walker does not run ahead; `done` resolves
   * when its chunks are known (they are stored for sure when `finish` resolves), with a problem if the file can't be read.
   */
  async saveFile(file: ScanFile): Promise<{ readonly done: Promise<SavedFile> }> {
    this.#throwFailure();
    if (file.sizeBytes >= chunkMinBytes) return this.#acceptLarge(file);
    const { promise, resolve, reject } = Promise.withResolvers<SavedFile>();
    promise.catch(() => undefined); // Whoever waits for it hears of it; nobody may be waiting yet.
    this.#batch.push({ file, resolve, reject });
    this.#batchBytes += file.sizeBytes + 1;
    if (this.#batch.length >= filesPerBatchMax || this.#batchBytes >= batchBytesMax) await this.#sendBatch();
    return { done: promise };
  }

  /** Sends waiting small files on their way; without it their `done` may never resolve. */
  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#sendBatch();
  }

  /**
   * Saves a stream of bytes. Resolves when all were taken, so that the next stream can follow; `done` when all chunks are
   * known. A rejection of the stream is passed on.
   */
  async saveStream(stream: AsyncIterable<Uint8Array>): Promise<{ readonly done: Promise<SavedContent> }> {
    using opened = new DisposableStack();
    const scan = opened.use(this.#newScan());
    for await (const bytes of stream) {
      this.#throwFailure();
      this.#options.signal.throwIfAborted();
      this.#options.onRead?.(bytes.length);
      await scan.take(bytes);
    }
    const held = opened.move();
    const done = scan.finish().then(
      (content) => ({ content, sizeBytes: scan.sizeBytes, isChanged: false }),
      (error: unknown) => {
        held.dispose();
        throw error;
      },
    );
    this.#track(done);
    return { done };
  }

  #newScan(): StreamScan {
    const { pool, chunker } = this.#options;
    return new StreamScan({
      slabBytes,
      fixedChunkBytes: this.fixedChunkBytes,
      takeSlab: () => this.#takeSlab(),
      scan: (slab, stretch) =>
        this.#orGiveBack(slab, pool.run('scanBytes', { slab: slab.memory, ...stretch, chunker })),
      sealLater: (slab, chunks) => this.#track(chunks.then((found) => this.#seal(slab, found))),
    });
  }

  /** Saves a small file whose bytes are at hand; they are copied. */
  async saveBytes(bytes: Uint8Array): Promise<SavedContent> {
    const chunkBytes = this.fixedChunkBytes ?? chunkMinBytes;
    assert.ok(bytes.length <= chunkMinBytes, 'a larger file needs its cuts found');
    this.#options.onRead?.(bytes.length);
    const content: BlobId[] = [];
    for (let at = 0; at < bytes.length; at += chunkBytes)
      content.push(await this.saveData(bytes.subarray(at, at + chunkBytes)));
    return { content, sizeBytes: bytes.length, isChanged: false };
  }

  /** Waits for memory that holds the largest chunk at least. */
  async openStretch(): Promise<ChunkStretch> {
    this.#throwFailure();
    const slab = await this.#takeSlab();
    return {
      memory: slab.memory,
      save: async (pieces) => {
        const work = this.#options.pool.run('hash', { slab: slab.memory, pieces });
        const chunks = await this.#orGiveBack(slab, work);
        this.#sealLater(slab, chunks);
        return chunks.map(({ id }) => id);
      },
      [Symbol.dispose]: () => slab[Symbol.dispose](),
    };
  }

  /** Saves one blob of at most a chunk's largest size; its bytes are copied. Stored for sure when `finish` resolves. */
  async saveData(bytes: Uint8Array): Promise<BlobId> {
    const id = hashOf(bytes) as BlobId;
    if (!this.#packs.claim('data', id)) return id;
    this.#throwFailure();
    for (;;) {
      const run = this.#run;
      if (run !== undefined && run.filledBytes + bytes.length <= slabBytes) {
        this.#addToRun(run, { id, bytes });
        return id;
      }
      await this.#openRun();
    }
  }

  #addToRun(run: BlobRun, { id, bytes }: { readonly id: BlobId; readonly bytes: Uint8Array }): void {
    fillArea(run.slab.memory).set(bytes, run.filledBytes);
    run.blobs.push({ id, offsetBytes: run.filledBytes, lengthBytes: bytes.length });
    run.filledBytes += bytes.length;
    if (run.filledBytes >= blobRunBytes) this.#sendRun();
  }

  async #openRun(): Promise<void> {
    this.#sendRun();
    const slab = await this.#takeSlab();
    // Another blob may have opened one meanwhile.
    if (this.#run === undefined) this.#run = { slab, blobs: [], filledBytes: 0 };
    else slab[Symbol.dispose]();
  }

  #sendRun(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#track(this.#sealClaimed(run.slab, run.blobs));
  }

  /** Saves a tree. Its id is known at once, so that its parent can be encoded; stored for sure when `finish` resolves. */
  async saveTree(bytes: Uint8Array): Promise<BlobId> {
    const id = hashOf(bytes) as BlobId;
    if (!this.#packs.claim('tree', id)) return id;
    this.#throwFailure();
    this.#trees.push({ id, bytes });
    this.#treeBytes += bytes.length;
    if (this.#treeBytes >= treeRunBytes) await this.#sendTrees();
    return id;
  }

  /** Waits until everything saved is stored and listed. Returns bytes stored, with pack headers. */
  async finish(): Promise<number> {
    await this.flush();
    this.#sendRun();
    await this.#settle();
    if (this.#trees.length > 0) await this.#sendTrees();
    await this.#settle();
    await this.#packs.finish();
    return this.#packs.storedBytes;
  }

  /** After a failure: stops what is under way and waits for it, so that the lock can be let go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('the writer was closed');
    for (const { reject } of this.#batch) reject(this.#failure);
    this.#run?.slab[Symbol.dispose]();
    this.#run = undefined;
    while (this.#underway.size > 0) await Promise.allSettled(this.#underway);
    await this.#packs[Symbol.asyncDispose]();
  }

  async #settle(): Promise<void> {
    while (this.#underway.size > 0) await Promise.allSettled(this.#underway);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Lets work go on in the background; its failure is everybody's. */
  #track(work: Promise<unknown>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.#failure ??= asError(error);
      })
      .finally(() => this.#underway.delete(tracked));
    this.#underway.add(tracked);
  }

  async #takeSlab(): Promise<Slab> {
    const slab = await this.#slabs.acquire();
    if (this.#failure === undefined && !this.#options.signal.aborted) return slab;
    slab[Symbol.dispose]();
    this.#throwFailure();
    throw this.#options.signal.reason;
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    let slab: Slab;
    try {
      slab = await this.#takeSlab();
    } catch (error) {
      for (const { reject } of batch) reject(error);
      throw error;
    }
    this.#track(this.#scanBatch(slab, batch));
  }

  async #scanBatch(slab: Slab, batch: readonly PendingFile[]): Promise<void> {
    let scanned: readonly ScannedFile[];
    try {
      const files = batch.map(({ file }) => file);
      const { pool } = this.#options;
      scanned = await this.#orGiveBack(slab, pool.run('scanFiles', { slab: slab.memory, files }));
    } catch (error) {
      for (const { reject } of batch) reject(error);
      throw error;
    }
    const chunks: Chunk[] = [];
    for (const [number, result] of scanned.entries()) {
      const { file, resolve } = batch[number] as PendingFile;
      if (result.outcome === 'failed') resolve({ problem: result.message });
      else if (result.outcome === 'grown') resolve(this.#scanGrown(file));
      else resolve(this.#savedOf(result, chunks));
    }
    await this.#seal(slab, chunks);
  }

  #savedOf(
    { chunk, isChanged }: { readonly chunk: Chunk; readonly isChanged: boolean },
    chunks: Chunk[],
  ): SavedContent {
    this.#options.onRead?.(chunk.lengthBytes);
    if (chunk.lengthBytes === 0) return { content: [], sizeBytes: 0, isChanged };
    chunks.push(chunk);
    return { content: [chunk.id], sizeBytes: chunk.lengthBytes, isChanged };
  }

  async #scanGrown(file: ScanFile): Promise<SavedFile> {
    const { done } = await this.#acceptLarge(file);
    return done;
  }

  async #acceptLarge(file: ScanFile): Promise<{ readonly done: Promise<SavedFile> }> {
    const permit = await this.#largeFiles.acquire();
    const done = this.#scanLarge(file).finally(() => permit[Symbol.dispose]());
    this.#track(done);
    return { done };
  }

  async #scanLarge(file: ScanFile): Promise<SavedFile> {
    const content: BlobId[] = [];
    const { pool, chunker } = this.#options;
    for (let offsetBytes = 0; ;) {
      const slab = await this.#takeSlab();
      const part = await this.#orGiveBack(
        slab,
        pool.run('scanPart', { slab: slab.memory, path: file.path, offsetBytes, chunker }),
      );
      if (part.outcome === 'failed') {
        slab[Symbol.dispose]();
        return { problem: part.message };
      }
      offsetBytes += part.consumedBytes;
      this.#options.onRead?.(part.consumedBytes);
      content.push(...part.chunks.map(({ id }) => id));
      this.#sealLater(slab, part.chunks);
      if (part.isEnd) {
        return {
          content,
          sizeBytes: part.sizeBytes,
          isChanged: part.sizeBytes !== file.sizeBytes || part.mtimeNs !== file.mtimeNs,
        };
      }
    }
  }

  async #orGiveBack<Result>(slab: Slab, work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      slab[Symbol.dispose]();
      throw error;
    }
  }

  #sealLater(slab: Slab, chunks: readonly Chunk[]): void {
    this.#track(this.#seal(slab, chunks));
  }

  /** Seals the chunks that are new, gives the slab back, adds them to packs. */
  #seal(slab: Slab, chunks: readonly Chunk[]): Promise<void> {
    const wanted = chunks.filter(({ id }) => this.#packs.claim('data', id));
    return this.#sealClaimed(slab, wanted);
  }

  async #sealClaimed(slab: Slab, wanted: readonly Chunk[]): Promise<void> {
    using _ = slab;
    if (wanted.length === 0) return;
    const level = this.#options.compressionLevel;
    const run = await this.#options.pool.run('seal', { slab: slab.memory, type: 'data', level, blobs: wanted });
    await this.#addRun('data', { slab, blobs: wanted, run });
  }

  async #sendTrees(): Promise<void> {
    const trees = this.#trees;
    this.#trees = [];
    const slab = this.#treeBytes > slabBytes ? oversizeSlab(this.#treeBytes) : await this.#takeSlab();
    this.#treeBytes = 0;
    let offsetBytes = 0;
    const blobs = trees.map(({ id, bytes }) => {
      fillArea(slab.memory).set(bytes, offsetBytes);
      offsetBytes += bytes.length;
      return { id, offsetBytes: offsetBytes - bytes.length, lengthBytes: bytes.length };
    });
    this.#track(this.#sealTrees(slab, blobs));
    collectGarbage(); // The encoded trees of hundreds of folders were just dropped.
  }

  async #sealTrees(slab: Slab, blobs: readonly Chunk[]): Promise<void> {
    using _ = slab;
    // Trees are compressed even where data is not, as restic does.
    const level = Math.max(1, this.#options.compressionLevel);
    const run = await this.#options.pool.run('seal', { slab: slab.memory, type: 'tree', level, blobs });
    await this.#addRun('tree', { slab, blobs, run });
  }

  async #addRun(
    type: BlobType,
    { slab, blobs, run }: { slab: Slab; blobs: readonly Chunk[]; run: SealedRun },
  ): Promise<void> {
    const sealed = new Uint8Array(slab.memory);
    let offset = 0;
    for (const [number, { id, lengthBytes: plainBytes }] of blobs.entries()) {
      const lengthBytes = run.lengthsBytes[number];
      const plainLengthBytes = run.plainLengthsBytes[number];
      if (lengthBytes === undefined || plainLengthBytes === undefined)
        throw new Error('a worker sealed fewer blobs than asked');
      this.counts[type === 'data' ? 'dataBlobs' : 'treeBlobs'] += 1;
      this.counts.addedBytes += plainBytes;
      this.counts.addedPackedBytes += lengthBytes;
      await this.#packs.add({ type, id, lengthBytes, plainLengthBytes }, sealed.subarray(offset, offset + lengthBytes));
      offset += lengthBytes;
    }
  }
}
