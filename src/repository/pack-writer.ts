// Collects sealed blobs into packs, uploads them, and lists them in index files. Nothing is listed before it is stored.
import { createHash } from 'node:crypto';
import { alignedBytes } from '../base/aligned-memory.ts';
import { asError } from '../base/errors.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { BlobIndex, PlacedEntry } from './blob-index.ts';
import { chunkMaxBytes } from './chunker.ts';
import type { BlobId, PackId } from './ids.ts';
import { encodeIndex, indexBlobsMax, type IndexedPack } from './index-file.ts';
import { fileName } from './layout.ts';
import { encodeHeader, packSizeOf, type BlobType, type PackEntry } from './pack-header.ts';
import { closingSignal, saveJson, type Repository } from './repository.ts';
import { seal } from './seal.ts';

/** A pack is closed after the blob that takes it to this size: restic's default for data; trees are read in small pieces. */
export const packTargetBytes: Readonly<Record<BlobType, number>> = { data: 16 * 1024 * 1024, tree: 4 * 1024 * 1024 };
/** Tiny blobs close a pack earlier: what is known of each is in memory until the pack is stored and listed. */
export const packBlobsMax = 10_000;
/** What a pack may grow beyond its target: the largest chunk, sealed. */
const packOverhangBytes = chunkMaxBytes + 64 * 1024;
/** An index file is written at least this often, so that an interrupted backup finds its work again. */
const indexIntervalMs = 10 * 60_000;
/** Packs under way to a remote store at once; each is held in memory until it is there. A disk takes one after another. */
const uploadsMax = 2;

interface OpenPack {
  bytes: Buffer;
  readonly entries: PlacedEntry[];
  sizeBytes: number;
}

export interface PackWriterOptions {
  readonly signal: AbortSignal;
  /** Called before each index file is written: the moment from which others may rely on the packs. */
  beforeIndex(): Promise<void>;
  /** Tests make packs small. */
  readonly packTargetBytes?: number | undefined;
}

export class PackWriter implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #options: PackWriterOptions;
  readonly #targetBytes: Readonly<Record<BlobType, number>>;
  readonly #open: Partial<Record<BlobType, OpenPack>> = {};
  /** Buffers of packs that were stored, to be used again: fresh ones would pile up until they are collected. */
  readonly #freeBuffers: Record<BlobType, Buffer[]> = { data: [], tree: [] };
  /** Blobs that are in no index yet: in an open pack, or under way. */
  readonly #pending: Readonly<Record<BlobType, Set<BlobId>>> = { data: new Set(), tree: new Set() };
  /** Trees this writer stored since those in the repository are not trusted. */
  #treesAnew: Set<BlobId> | undefined;
  readonly #uploads: Semaphore;
  readonly #underway = new Set<Promise<void>>();
  /** Packs that no index file lists yet; the index in memory knows what they hold. */
  #unlisted: PackId[] = [];
  #unlistedBlobs = 0;
  #indexedAtMs: number;
  #indexing: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  /** What went to the store, sealed, with headers. */
  storedBytes = 0;

  constructor(repository: Repository, index: BlobIndex, options: PackWriterOptions) {
    this.#repository = repository;
    this.#index = index;
    this.#options = options;
    const { packTargetBytes: wanted } = options;
    this.#targetBytes = wanted === undefined ? packTargetBytes : { data: wanted, tree: wanted };
    const { isRemote, connectionsMax } = repository.store.properties;
    this.#uploads = new Semaphore(isRemote ? Math.min(uploadsMax, connectionsMax) : 1);
    this.#indexedAtMs = repository.clock.now();
  }

  /** Whether a blob is stored or will be before `finish` resolves. */
  isKnown(type: BlobType, id: BlobId): boolean {
    if (this.#pending[type].has(id)) return true;
    return this.#index.has(type, id) && (type === 'data' || this.#treesAnew?.has(id) !== false);
  }

  /** A stored tree can't be read, and nobody knows which below it can: from now on all that come are stored again. */
  distrustTrees(): void {
    this.#treesAnew ??= new Set();
  }

  /** Says that this writer will get the blob; false if it is known already. */
  claim(type: BlobType, id: BlobId): boolean {
    if (this.isKnown(type, id)) return false;
    this.#pending[type].add(id);
    return true;
  }

  /** Adds a sealed blob that was claimed; its bytes are copied. Resolves when there is room for more. */
  async add(entry: PackEntry, sealed: Uint8Array): Promise<void> {
    this.#throwFailure();
    const pack = (this.#open[entry.type] ??= this.#newPack(entry.type));
    const endBytes = pack.sizeBytes + sealed.length;
    if (endBytes > pack.bytes.length) {
      // A tree larger than any chunk.
      const grown = alignedBytes(endBytes);
      pack.bytes.copy(grown, 0, 0, pack.sizeBytes);
      pack.bytes = grown;
    }
    pack.bytes.set(sealed, pack.sizeBytes);
    const { type, id, lengthBytes, plainLengthBytes } = entry;
    pack.entries.push({ type, id, offsetBytes: pack.sizeBytes, lengthBytes, plainLengthBytes });
    pack.sizeBytes = endBytes;
    const isFull = pack.sizeBytes >= this.#targetBytes[type] || pack.entries.length >= packBlobsMax;
    if (isFull) await this.#close(type);
  }

  #newPack(type: BlobType): OpenPack {
    const targetBytes = this.#targetBytes[type];
    const capacityBytes = targetBytes + Math.min(targetBytes, packOverhangBytes);
    return { bytes: this.#freeBuffers[type].pop() ?? alignedBytes(capacityBytes), entries: [], sizeBytes: 0 };
  }

  /** Stores what is left, then the last index. Everything added is safe and listed when this resolves. */
  async finish(): Promise<void> {
    for (const type of ['data', 'tree'] as const) await this.#close(type);
    await Promise.allSettled(this.#underway);
    this.#throwFailure();
    await this.#writeIndex();
    this.#throwFailure();
  }

  /**
   * After a failure: waits until nothing more goes to the store, so that the lock can be let go, and lists what was
   * stored, so that the next run finds it. If that fails too, only time is lost: the failure itself is what is told.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('the pack writer was closed');
    await Promise.allSettled([...this.#underway, this.#indexing]);
    await this.#listStored().catch(() => undefined);
  }

  async #listStored(): Promise<void> {
    while (this.#unlisted.length > 0) {
      const packs = this.#nextPacks();
      await this.#options.beforeIndex();
      await saveJson(this.#repository, { kind: 'index', json: encodeIndex(packs) }, closingSignal(this.#repository));
      this.#unlisted = this.#unlisted.slice(packs.length);
    }
  }

  async #close(type: BlobType): Promise<void> {
    const pack = this.#open[type];
    if (pack === undefined) return;
    delete this.#open[type];
    const permit = await this.#uploads.acquire();
    const upload = this.#upload(type, pack)
      .catch((error: unknown) => {
        this.#failure ??= asError(error);
      })
      .finally(() => {
        this.#freeBuffers[type].push(pack.bytes);
        permit[Symbol.dispose]();
        this.#underway.delete(upload);
      });
    this.#underway.add(upload);
    this.#throwFailure();
  }

  async #upload(type: BlobType, pack: OpenPack): Promise<void> {
    const header = seal(this.#repository.keys, encodeHeader(pack.entries));
    const headerLength = Buffer.allocUnsafe(4);
    headerLength.writeUInt32LE(header.length);
    const parts = [pack.bytes.subarray(0, pack.sizeBytes), header, headerLength];
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    const id = hash.digest('hex') as PackId;
    const { signal } = this.#options;
    this.#throwFailure();
    const name = fileName('data', id);
    if (type === 'tree') this.#repository.treePacks?.add(name);
    await this.#repository.store.put(name, parts, { signal, isBulkData: type === 'data' });
    this.storedBytes += packSizeOf(pack.entries);
    this.#index.addPack(id, pack.entries);
    for (const { id: blob } of pack.entries) {
      this.#pending[type].delete(blob);
      if (type === 'tree') this.#treesAnew?.add(blob);
    }
    this.#unlisted.push(id);
    this.#unlistedBlobs += pack.entries.length;
    const isDue = this.#repository.clock.now() - this.#indexedAtMs > indexIntervalMs;
    if (this.#unlistedBlobs >= indexBlobsMax || isDue) await this.#writeIndex();
  }

  /** One at a time, in the order asked. */
  #writeIndex(): Promise<void> {
    this.#indexing = this.#writeIndexAfter(this.#indexing);
    return this.#indexing;
  }

  async #writeIndexAfter(earlier: Promise<void>): Promise<void> {
    await earlier;
    while (this.#unlisted.length > 0) {
      this.#throwFailure();
      const packs = this.#nextPacks();
      await this.#options.beforeIndex();
      await saveJson(this.#repository, { kind: 'index', json: encodeIndex(packs) }, this.#options.signal);
      this.#unlisted = this.#unlisted.slice(packs.length);
      this.#unlistedBlobs -= packs.reduce((sum, { entries }) => sum + entries.length, 0);
      this.#indexedAtMs = this.#repository.clock.now();
    }
  }

  /** The first unlisted packs that together hold at most as many blobs as one index file lists; at least one. */
  #nextPacks(): IndexedPack[] {
    const packs: IndexedPack[] = [];
    let blobs = 0;
    for (const id of this.#unlisted) {
      const entries = this.#index.entriesOf(id);
      blobs += entries.length;
      if (blobs > indexBlobsMax && packs.length > 0) break;
      packs.push({ id, entries });
    }
    return packs;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
