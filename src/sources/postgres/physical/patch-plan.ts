// Where the bytes of a file come from that an incremental backup patches: from the server, from the parent's file, or nowhere, which
// means zeros. Pure.
import type { Span } from '../../source.ts';
import type { IncrementalHeader } from './incremental-file.ts';
import { pageBytes } from './relation-file.ts';

interface Run {
  readonly from: number;
  readonly to: number;
}

/** A range that is written: bytes that came, or zeros. */
export interface PatchRange {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const zeros = new Uint8Array(128 * pageBytes);

export class PatchPlan {
  readonly #header: IncrementalHeader;
  /** Pages from here on are not the parent's, whether it has them or not. */
  readonly keptPages: number;

  constructor(header: IncrementalHeader, parentBytes: number) {
    this.#header = header;
    this.keptPages = Math.min(header.truncationBlocks, Math.floor(parentBytes / pageBytes));
  }

  get resultPages(): number {
    return this.#header.resultBytes / pageBytes;
  }

  /** Whether a page came from the server. */
  has(page: number): boolean {
    const { blocks } = this.#header;
    let [low, high] = [0, blocks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (blocks[middle]! < page) low = middle + 1;
      else high = middle;
    }
    return blocks[low] === page;
  }

  /** Whether nothing of the parent is used. */
  get isWhole(): boolean {
    const { blocks } = this.#header;
    const before = blocks.findIndex((block, index) => block !== index);
    return (before === -1 ? blocks.length : before) >= this.keptPages;
  }

  /** All that will be written, ascending and joined where it touches. */
  spans(): Span[] {
    const runs = [...this.#came(), ...this.#empty()].toSorted((left, right) => left.from - right.from);
    const spans: { offset: number; length: number }[] = [];
    for (const { from, to } of runs) {
      const last = spans.at(-1);
      if (last !== undefined && last.offset + last.length === from * pageBytes) last.length += (to - from) * pageBytes;
      else spans.push({ offset: from * pageBytes, length: (to - from) * pageBytes });
    }
    return spans;
  }

  /** Puts zeros between the ranges that come. */
  async *ranges(came: AsyncIterable<PatchRange>): AsyncGenerator<PatchRange, void> {
    const empty = this.#empty();
    let next = empty.next();
    for await (const range of came) {
      while (next.done !== true && next.value.from * pageBytes < range.offset) {
        yield* zeroRanges(next.value);
        next = empty.next();
      }
      yield range;
    }
    for (; next.done !== true; next = empty.next()) yield* zeroRanges(next.value);
  }

  *#came(): Generator<Run, void> {
    const { blocks } = this.#header;
    for (let at = 0; at < blocks.length;) {
      const from = blocks[at]!;
      let length = 1;
      while (blocks[at + length] === from + length) length += 1;
      yield { from, to: from + length };
      at += length;
    }
  }

  *#empty(): Generator<Run, void> {
    let from = this.keptPages;
    for (const run of this.#came()) {
      if (run.to <= from) continue;
      if (run.from > from) yield { from, to: run.from };
      from = Math.max(from, run.to);
    }
    if (from < this.resultPages) yield { from, to: this.resultPages };
  }
}

function* zeroRanges({ from, to }: Run): Generator<PatchRange, void> {
  const step = zeros.length / pageBytes;
  for (let page = from; page < to; page += step) {
    const bytes = zeros.subarray(0, Math.min(step, to - page) * pageBytes);
    yield { offset: page * pageBytes, bytes };
  }
}
