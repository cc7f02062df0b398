// Brings chunks of earlier backups into memory where they are changed: neighbours in one request, opened by a worker thread.
import { isAppError } from '../../base/errors.ts';
import { readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import { fetchMaxBytes, planFetch, type FetchPiece } from '../../repository/fetch-plan.ts';
import type { BlobId } from '../../repository/ids.ts';
import { fileName } from '../../repository/layout.ts';
import { fetchSlabs, fillArea, getInto, oversizeSlab, type SlabPool } from '../../repository/slab-pool.ts';
import type { Workers } from '../../repository/worker-pool.ts';

export interface OldChunk {
  readonly id: BlobId;
  /** Where its content begins in the fill area. */
  readonly atBytes: number;
  /** How much of it is wanted, from its beginning. */
  readonly lengthBytes: number;
}

export interface OldChunksParts {
  readonly indexed: IndexedRepository;
  readonly pool: Workers;
  readonly signal: AbortSignal;
}

export class OldChunks {
  readonly #parts: OldChunksParts;
  readonly #slabs: SlabPool;

  constructor(parts: OldChunksParts) {
    this.#parts = parts;
    this.#slabs = fetchSlabs(1, parts.indexed.repository.store);
  }

  /** Rejects with `REPOSITORY_DAMAGED` if no copy of a chunk is whole. */
  async openInto(memory: SharedArrayBuffer, chunks: readonly OldChunk[]): Promise<void> {
    const { index } = this.#parts.indexed;
    const wanted = new Map<number, OldChunk[]>();
    for (const chunk of chunks) {
      const record = index.recordOf('data', chunk.id);
      const alike = wanted.get(record);
      if (alike === undefined) wanted.set(record, [chunk]);
      else alike.push(chunk);
    }
    const pieces = planFetch(index, wanted);
    const outcomes = await Promise.allSettled(pieces.map((piece) => this.#openPiece(memory, piece)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #openPiece(memory: SharedArrayBuffer, piece: FetchPiece<OldChunk>): Promise<void> {
    const { pool, signal, indexed } = this.#parts;
    const { pack, offsetBytes: offset, lengthBytes: length, blobs } = piece;
    using slab = length > fetchMaxBytes ? oversizeSlab(length) : await this.#slabs.acquire();
    let damaged: readonly number[];
    try {
      const name = fileName('data', pack);
      const bytes = await getInto(slab, indexed.repository.store, { name, offset, length, signal });
      damaged = await pool.run('openInto', { bytes, blobs, slab: memory });
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED')) throw error;
      damaged = [...blobs.keys()];
    }
    for (const number of damaged) await this.#openElsewhere(memory, blobs[number]?.targets ?? []);
  }

  /** The copy in one pack is bad; there may be another. */
  async #openElsewhere(memory: SharedArrayBuffer, targets: readonly OldChunk[]): Promise<void> {
    const { indexed, signal } = this.#parts;
    for (const { id, atBytes, lengthBytes } of targets) {
      const content = await readBlob(indexed, { type: 'data', id }, signal);
      fillArea(memory).set(content.subarray(0, lengthBytes), atBytes);
    }
  }
}
