// Bytes that came and were not parsed yet. The parsers are generators that yield whenever they need more than is there,
// so they read like plain code, need no I/O, and never hold more than the element they are at.

/** Yields when it needs more bytes; ends with a `T`. */
export type Parsing<T> = Generator<void, T, void>;

export class RdbInput {
  #chunks: Buffer[] = [];
  #at = 0;
  #availableBytes = 0;
  #taken: Buffer[] | undefined;

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#availableBytes += bytes.length;
  }

  get availableBytes(): number {
    return this.#availableBytes;
  }

  /** The next `count` bytes: a view where they came in one piece, so copy what must outlive the next push. */
  *take(count: number): Parsing<Buffer> {
    while (this.#availableBytes < count) yield;
    return this.takeNow(count);
  }

  *byte(): Parsing<number> {
    while (this.#availableBytes === 0) yield;
    return this.takeNow(1)[0]!;
  }

  /** Waits for at least one byte and takes what is there, up to `countMax`: for what may be too large to be held. */
  *takeSome(countMax: number): Parsing<Buffer> {
    while (this.#availableBytes === 0) yield;
    return this.takeNow(Math.min(countMax, this.#chunks[0]!.length - this.#at));
  }

  /** From now on everything taken is also kept, until `endCapture`. */
  beginCapture(): void {
    this.#taken = [];
  }

  /** What was taken, in pieces: a value may be large, and joining it is the caller's choice. */
  endCapture(): Buffer[] {
    const taken = this.#taken ?? [];
    this.#taken = undefined;
    return taken;
  }

  /** The next `count` bytes, all of which are there. */
  takeNow(count: number): Buffer {
    const first = this.#chunks[0];
    const bytes =
      first !== undefined && first.length - this.#at >= count
        ? first.subarray(this.#at, this.#at + count)
        : this.#gather(count);
    this.#drop(count);
    this.#keep(bytes);
    return bytes;
  }

  /** Pieces that follow each other in memory become one: a hash of a million fields is read in millions of takes. */
  #keep(bytes: Buffer): void {
    if (this.#taken === undefined || bytes.length === 0) return;
    const last = this.#taken.at(-1);
    if (last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
      const joined = Buffer.from(bytes.buffer, last.byteOffset, last.length + bytes.length);
      this.#taken[this.#taken.length - 1] = joined;
    } else {
      this.#taken.push(bytes);
    }
  }

  #gather(count: number): Buffer {
    const out = Buffer.allocUnsafe(count);
    let filled = 0;
    let from = this.#at;
    for (const chunk of this.#chunks) {
      if (filled === count) break;
      filled += chunk.copy(out, filled, from, Math.min(chunk.length, from + count - filled));
      from = 0;
    }
    return out;
  }

  #drop(count: number): void {
    this.#availableBytes -= count;
    this.#at += count;
    let whole = 0;
    for (let chunk = this.#chunks[0]; chunk !== undefined && this.#at >= chunk.length; chunk = this.#chunks[whole]) {
      this.#at -= chunk.length;
      whole += 1;
    }
    if (whole > 0) this.#chunks.splice(0, whole);
  }
}
