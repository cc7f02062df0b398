// A fixed number of shared buffers between the main thread and the workers: the bound on memory in the write path, and
// in the read path, where stretches of packs lie in them.
import { Semaphore } from '../base/semaphore.ts';
import type { Store } from '../storage/store.ts';
import { fetchMaxBytes } from './fetch-plan.ts';

/**
 * A slab is filled behind a margin. Sealed blobs are written from its very beginning while their sources are read:
 * the margin is what sealing may add to content that can't be compressed.
 */
export const slabMarginBytes = 128 * 1024;

export interface Slab extends Disposable {
  readonly memory: SharedArrayBuffer;
}

/** Where content goes; offsets of chunks count from here. */
export function fillArea(memory: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(memory, slabMarginBytes);
}

export class SlabPool {
  readonly #free: SharedArrayBuffer[] = [];
  readonly #permits: Semaphore;
  readonly #memoryBytes: number;
  readonly slabsMax: number;

  /** `fillBytes` is what one slab takes. */
  constructor(slabsMax: number, fillBytes: number) {
    this.slabsMax = slabsMax;
    this.#permits = new Semaphore(slabsMax);
    this.#memoryBytes = slabMarginBytes + fillBytes;
  }

  /** Waits for a free slab; disposing it gives it back. Its old content is still there. */
  async acquire(): Promise<Slab> {
    const permit = await this.#permits.acquire();
    const memory = this.#free.pop() ?? new SharedArrayBuffer(this.#memoryBytes);
    let isHeld = true;
    return {
      memory,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#free.push(memory);
        permit[Symbol.dispose]();
      },
    };
  }
}

/** Fetches a stretch of an object into shared memory, so that a worker sees it without a copy. */
export async function getInto(
  slab: Slab,
  store: Pick<Store, 'get'>,
  { name, ...range }: { name: string; offset: number; length: number; signal: AbortSignal },
): Promise<Uint8Array> {
  const into = new Uint8Array(slab.memory, 0, range.length);
  const bytes = await store.get(name, { ...range, into });
  if (bytes.buffer === slab.memory) return bytes;
  into.set(bytes);
  return into.subarray(0, bytes.length);
}

/** Slabs for stretches of packs: each thread works on one while the next is fetched; a remote store keeps more coming. */
export function fetchSlabs(threads: number, store: Pick<Store, 'properties'>): SlabPool {
  const { isRemote, connectionsMax } = store.properties;
  return new SlabPool(Math.max(threads + 1, isRemote ? Math.min(connectionsMax, 8) : 0), fetchMaxBytes);
}

/** For content that no slab holds: the tree of a folder with a hundred thousand entries. */
export function oversizeSlab(fillBytes: number): Slab {
  return { memory: new SharedArrayBuffer(slabMarginBytes + fillBytes), [Symbol.dispose]: () => undefined };
}
