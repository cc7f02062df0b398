// Seals the bytes of journal objects for one repository: few at once where they are, more on a thread of its own, so that a receiver
// goes on receiving. Its memory is a fixed number of slabs; whoever has none waits.
import type { KeyTriple } from '../seal.ts';
import { oversizeSlab, SlabPool, type Slab } from '../slab-pool.ts';
import { WorkerPool } from '../worker-pool.ts';
import type { Repository } from '../repository.ts';
import { objectMaxBytes } from './frames.ts';
import type { SealedFrames } from '../worker-protocol.ts';
import { sealFrames } from './seal-frames.ts';

/** The message to another thread, and the thread, are not worth it below. */
const hereMaxBytes = 256 * 1024;
/** One is sealed while the next is read or the last is stored. */
const slabsMax = 2;

export interface SealOptions {
  readonly lengthBytes: number;
  readonly keys: KeyTriple;
  readonly level: number;
}

export class FrameSealer implements AsyncDisposable {
  readonly #slabs = new SlabPool(slabsMax, objectMaxBytes);
  readonly #workers: WorkerPool;

  constructor(repository: Pick<Repository, 'keys' | 'config'>) {
    this.#workers = new WorkerPool(repository, 1);
  }

  /** Room for the content of one object. */
  take(lengthBytes: number): Promise<Slab> {
    return lengthBytes <= hereMaxBytes ? Promise.resolve(oversizeSlab(lengthBytes)) : this.#slabs.acquire();
  }

  /** The sealed frames lie in the slab from its beginning. */
  async seal({ memory }: Slab, options: SealOptions): Promise<SealedFrames> {
    const task = { slab: memory, ...options };
    return options.lengthBytes <= hereMaxBytes ? sealFrames(task) : await this.#workers.run('sealFrames', task);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workers[Symbol.asyncDispose]();
  }
}
