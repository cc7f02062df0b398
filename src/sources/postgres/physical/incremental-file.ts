// An `INCREMENTAL.<name>` file of a server's incremental backup, as it streams by: which pages of a file changed, and the pages.
// What it does not list is as in the parent backup's file.
import { serverFileDamaged } from '../wal/wal-damage.ts';
import { pageBytes, pagesPerSegment } from './relation-file.ts';

export interface IncrementalHeader {
  /** Ascending numbers of pages within this file. */
  readonly blocks: Uint32Array;
  /** Pages of the parent's file from here on are not valid any more: the file was shorter at some time. */
  readonly truncationBlocks: number;
  /** The server wrote a larger number than a file can have pages, as those before the fixes of 2026 did. */
  readonly isClamped: boolean;
  /** Bytes of the file that results. */
  readonly resultBytes: number;
}

export type IncrementalEvent =
  | { readonly kind: 'header'; readonly header: IncrementalHeader }
  /** Changed bytes and where they belong in the file that results: a view of what was pushed. Ascending. */
  | { readonly kind: 'range'; readonly offset: number; readonly bytes: Uint8Array };

const magic = 0xd3ae1f0d;
const fixedBytes = 12;

type State =
  | { readonly at: 'fixed' }
  | { readonly at: 'blocks'; readonly headerBytes: number; readonly truncationBlocks: number; readonly count: number }
  | { readonly at: 'pages'; readonly blocks: Uint32Array };

export class IncrementalReader {
  readonly #sizeBytes: number;
  #head = Buffer.alloc(fixedBytes);
  #filled = 0;
  #state: State = { at: 'fixed' };
  /** Bytes of pages that came. */
  #done = 0;

  /** `sizeBytes` is what the archive says: it must fit the number of pages. */
  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Yields the header once it is there, then ranges; the caller must take all before it pushes again. */
  *push(bytes: Uint8Array): Generator<IncrementalEvent, void, void> {
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      if (state.at === 'pages') {
        at += yield* this.#takePages(bytes, at, state.blocks);
        continue;
      }
      const count = Math.min(this.#head.length - this.#filled, bytes.length - at);
      this.#head.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < this.#head.length) return;
      if (state.at === 'fixed') yield* this.#openFixed();
      else yield this.#openBlocks(state);
    }
  }

  /** Rejects a file that broke off. */
  finish(): void {
    const state = this.#state;
    if (state.at !== 'pages' || this.#done !== state.blocks.length * pageBytes) throw damaged('it is cut short');
  }

  *#openFixed(): Generator<IncrementalEvent, void, void> {
    const head = this.#head;
    if (head.readUInt32LE(0) !== magic) throw damaged('it does not begin like one');
    const [count, truncationBlocks] = [head.readUInt32LE(4), head.readUInt32LE(8)];
    const isEmpty = count === 0;
    const unpadded = fixedBytes + 4 * count;
    const headerBytes = isEmpty ? fixedBytes : Math.ceil(unpadded / pageBytes) * pageBytes;
    if (count > pagesPerSegment || headerBytes + count * pageBytes !== this.#sizeBytes) {
      throw damaged(`${count} pages do not fit ${this.#sizeBytes} bytes`);
    }
    const state = { at: 'blocks', headerBytes, truncationBlocks, count } as const;
    this.#state = state;
    if (isEmpty) {
      yield this.#openBlocks(state);
      return;
    }
    this.#head = Buffer.concat([head], headerBytes);
  }

  #openBlocks({ truncationBlocks, count }: Extract<State, { at: 'blocks' }>): IncrementalEvent {
    const blocks = new Uint32Array(count);
    let next = 0;
    for (let index = 0; index < count; index += 1) {
      const block = this.#head.readUInt32LE(fixedBytes + 4 * index);
      if (block < next || block >= pagesPerSegment) throw damaged(`page ${block} is listed out of order`);
      blocks[index] = block;
      next = block + 1;
    }
    this.#head = Buffer.alloc(0);
    this.#state = { at: 'pages', blocks };
    const clamped = Math.min(truncationBlocks, pagesPerSegment);
    return {
      kind: 'header',
      header: {
        blocks,
        truncationBlocks: clamped,
        isClamped: clamped !== truncationBlocks,
        resultBytes: Math.max(clamped, next) * pageBytes,
      },
    };
  }

  /** As much as belongs together: pages that follow one another in the file are one range. */
  *#takePages(bytes: Uint8Array, at: number, blocks: Uint32Array): Generator<IncrementalEvent, number, void> {
    const first = Math.floor(this.#done / pageBytes);
    const within = this.#done % pageBytes;
    const block = blocks[first];
    if (block === undefined) throw damaged('bytes follow its end');
    let count = pageBytes - within;
    let last = first;
    while (count < bytes.length - at && blocks[last + 1] === block + (last + 1 - first)) {
      last += 1;
      count += pageBytes;
    }
    count = Math.min(count, bytes.length - at);
    this.#done += count;
    yield { kind: 'range', offset: block * pageBytes + within, bytes: bytes.subarray(at, at + count) };
    return count;
  }
}

function damaged(what: string): Error {
  return serverFileDamaged(`an incremental file of the base backup: ${what}`);
}
