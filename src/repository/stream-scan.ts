// Cuts one stream of bytes: fills slabs from it and lets workers find and hash the chunks. Where all chunks have one size, the
// next slab is filled while the last is looked at; where cuts depend on content, what follows the last cut must be known first.
import type { BlobId } from './ids.ts';
import { fillArea, type Slab } from './slab-pool.ts';
import type { Chunk } from './worker-protocol.ts';

export interface ScanParts {
  /** How much a slab takes. */
  readonly slabBytes: number;
  /** The size of chunks where all but the last have the same. */
  readonly fixedChunkBytes: number | undefined;
  takeSlab(): Promise<Slab>;
  /** Finds the chunks of a slab's first bytes. Gives the slab back if it rejects. */
  scan(slab: Slab, stretch: { readonly lengthBytes: number; readonly isLast: boolean }): Promise<readonly Chunk[]>;
  /** Takes the slab over once the chunks are known. */
  sealLater(slab: Slab, chunks: Promise<readonly Chunk[]>): void;
}

export class StreamScan implements Disposable {
  readonly #parts: ScanParts;
  readonly #capacityBytes: number;
  readonly #ids: Promise<readonly BlobId[]>[] = [];
  #slab: Slab | undefined;
  #filledBytes = 0;
  sizeBytes = 0;

  constructor(parts: ScanParts) {
    this.#parts = parts;
    const { slabBytes, fixedChunkBytes } = parts;
    this.#capacityBytes = fixedChunkBytes === undefined ? slabBytes : slabBytes - (slabBytes % fixedChunkBytes);
  }

  /** Copies the bytes; waits where there is no room. */
  async take(bytes: Uint8Array): Promise<void> {
    this.sizeBytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      this.#slab ??= await this.#parts.takeSlab();
      const piece = bytes.subarray(at, at + this.#capacityBytes - this.#filledBytes);
      fillArea(this.#slab.memory).set(piece, this.#filledBytes);
      this.#filledBytes += piece.length;
      at += piece.length;
      if (this.#filledBytes === this.#capacityBytes) await this.#pass(false);
    }
  }

  /** The ids of all chunks in order. */
  async finish(): Promise<BlobId[]> {
    await this.#pass(true);
    return (await Promise.all(this.#ids)).flat();
  }

  /** Hands the slab on. */
  async #pass(isLast: boolean): Promise<void> {
    const slab = this.#slab;
    if (slab === undefined) return;
    this.#slab = undefined;
    const chunks = this.#parts.scan(slab, { lengthBytes: this.#filledBytes, isLast });
    const ids = chunks.then((found) => found.map(({ id }) => id));
    ids.catch(() => undefined); // `finish` hears of it; it may never be called.
    this.#ids.push(ids);
    if (this.#parts.fixedChunkBytes !== undefined) {
      this.#filledBytes = 0;
      this.#parts.sealLater(slab, chunks);
      return;
    }
    const consumedBytes = (await chunks).reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const rest = fillArea(slab.memory).slice(consumedBytes, this.#filledBytes);
    this.#filledBytes = rest.length;
    this.#parts.sealLater(slab, chunks);
    if (rest.length === 0) return;
    this.#slab = await this.#parts.takeSlab();
    fillArea(this.#slab.memory).set(rest);
  }

  /** Gives back what it still holds. */
  [Symbol.dispose](): void {
    this.#slab?.[Symbol.dispose]();
    this.#slab = undefined;
  }
}
