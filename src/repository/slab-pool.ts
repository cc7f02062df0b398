// A fixed number of shared buffers between the main thread and the workers: the bound on memory in the write path.
import { Semaphore } from '../base/semaphore.ts';

export interface Slab extends Disposable {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
}

export class SlabPool {
  readonly #free: SharedArrayBuffer[] = [];
  readonly #permits: Semaphore;
  readonly #memoryBytes: number;

  /** `marginBytes` come on top of what users of a slab may fill. */
  constructor(slabsMax: number, slab: { readonly sizeBytes: number; readonly marginBytes: number }) {
    this.#permits = new Semaphore(slabsMax);
    this.#memoryBytes = slab.sizeBytes + slab.marginBytes;
  }

  /** Waits for a free slab; disposing it gives it back. Its old content is still there. */
  async acquire(): Promise<Slab> {
    const permit = await this.#permits.acquire();
    const memory = this.#free.pop() ?? new SharedArrayBuffer(this.#memoryBytes);
    let isHeld = true;
    return {
      memory,
      bytes: new Uint8Array(memory),
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#free.push(memory);
        permit[Symbol.dispose]();
      },
    };
  }
}
