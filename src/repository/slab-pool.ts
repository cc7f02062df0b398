// A fixed number of shared buffers between the main thread and the workers: the bound on memory in the write path.
import { Semaphore } from '../base/semaphore.ts';

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

  /** `fillBytes` is what one slab takes. */
  constructor(slabsMax: number, fillBytes: number) {
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

/** For content that no slab holds: the tree of a folder with a hundred thousand entries. */
export function oversizeSlab(fillBytes: number): Slab {
  return { memory: new SharedArrayBuffer(slabMarginBytes + fillBytes), [Symbol.dispose]: () => undefined };
}
