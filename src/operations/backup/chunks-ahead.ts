// Fetches the parent's chunks that a patch will need, in order, some ahead of their use.
import type { Span } from '../../sources/source.ts';

/** Bytes under way or waiting for their turn; one chunk always is. */
const aheadMaxBytes = 4 * 1024 * 1024;
const aheadMax = 32;

export interface PlacedChunk<Id> {
  readonly id: Id;
  readonly fromBytes: number;
  readonly toBytes: number;
}

export interface ChunksAheadParts<Id> {
  readonly chunks: readonly PlacedChunk<Id>[];
  /** Numbers of chunks, ascending. */
  readonly wanted: readonly number[];
  readonly read: (chunk: PlacedChunk<Id>) => Promise<Buffer>;
}

const sizeOf = (chunk: PlacedChunk<unknown> | undefined): number =>
  chunk === undefined ? 0 : chunk.toBytes - chunk.fromBytes;

/** Numbers of the chunks that spans touch without covering them: their other bytes stay. Both ascend. */
export function chunksToRead(chunks: readonly PlacedChunk<unknown>[], spans: readonly Span[]): number[] {
  const wanted: number[] = [];
  let at = 0;
  for (const [number, { fromBytes, toBytes }] of chunks.entries()) {
    while (at < spans.length && endOf(spans[at]) <= fromBytes) at += 1;
    let coveredTo = fromBytes;
    let isTouched = false;
    for (let look = at; look < spans.length; look += 1) {
      const { offset, length } = spans[look] as Span;
      if (offset >= toBytes) break;
      isTouched = true;
      if (offset > coveredTo) break;
      coveredTo = Math.max(coveredTo, offset + length);
    }
    if (isTouched && coveredTo < toBytes) wanted.push(number);
  }
  return wanted;
}

const endOf = (span: Span | undefined): number => (span === undefined ? 0 : span.offset + span.length);

export class ChunksAhead<Id> {
  readonly #parts: ChunksAheadParts<Id>;
  readonly #underway = new Map<number, Promise<Buffer>>();
  #bytes = 0;
  #next = 0;

  constructor(parts: ChunksAheadParts<Id>) {
    this.#parts = parts;
    this.#fill();
  }

  /** A chunk that is wanted, in its order; undefined for one that is not. */
  take(number: number): Promise<Buffer> | undefined {
    const bytes = this.#underway.get(number);
    if (bytes === undefined) return undefined;
    this.#underway.delete(number);
    this.#bytes -= sizeOf(this.#parts.chunks[number]);
    this.#fill();
    return bytes;
  }

  /** Waits for what is under way, whatever comes of it. */
  async settle(): Promise<void> {
    this.#next = Infinity;
    await Promise.allSettled(this.#underway.values());
  }

  #fill(): void {
    const { wanted, chunks, read } = this.#parts;
    while (this.#next < wanted.length && this.#underway.size < aheadMax) {
      const number = wanted[this.#next] as number;
      const chunk = chunks[number] as PlacedChunk<Id>;
      if (this.#underway.size > 0 && this.#bytes + sizeOf(chunk) > aheadMaxBytes) return;
      const bytes = read(chunk);
      bytes.catch(() => undefined); // Whoever takes it hears of it.
      this.#underway.set(number, bytes);
      this.#bytes += sizeOf(chunk);
      this.#next += 1;
    }
  }
}
