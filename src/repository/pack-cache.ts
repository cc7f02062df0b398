// The packs read last, whole, in memory: trees are small, lie together and are read one after another, so that fetching
// each by itself would be mostly waiting.
import type { Store } from '../storage/store.ts';

/** Of each pack no more than this is fetched: packs of trees are smaller, and a hostile one may say anything. */
const packMaxBytes = 20 * 1024 * 1024;
const packsMax = 3;

export class PackCache {
  readonly #store: Store;
  /** Least recently used first. */
  readonly #packs = new Map<string, Promise<Buffer>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** A stretch of an object. Rejects as the store does. */
  async get(
    name: string,
    range: { readonly offset: number; readonly length: number; readonly signal: AbortSignal },
  ): Promise<Buffer> {
    const { offset, length, signal } = range;
    if (offset + length > packMaxBytes) return this.#store.get(name, range);
    const bytes = await this.#whole(name, signal);
    return bytes.subarray(offset, offset + length);
  }

  #whole(name: string, signal: AbortSignal): Promise<Buffer> {
    const known = this.#packs.get(name);
    if (known !== undefined) {
      this.#packs.delete(name);
      this.#packs.set(name, known);
      return known;
    }
    const pack = this.#store.get(name, { offset: 0, length: packMaxBytes, signal });
    // A failure is for the one who asked; the next one tries again.
    pack.catch(() => this.#packs.delete(name));
    this.#packs.set(name, pack);
    const oldest = this.#packs.keys().next().value;
    if (this.#packs.size > packsMax && oldest !== undefined) this.#packs.delete(oldest);
    return pack;
  }
}
