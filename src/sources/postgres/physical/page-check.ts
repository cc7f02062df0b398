// Checks the pages of a relation's file as it streams by, without delaying it. A page may be torn because the server wrote it at
// that moment; then it was changed after the backup began, and the WAL brings it back whole.
import assert from 'node:assert/strict';
import type { Lsn } from '../wal/lsn.ts';
import { pageChecksum } from './page-checksum.ts';
import { pageBytes, pagesPerSegment } from './relation-file.ts';

export interface DamagedPage {
  /** Counted from the start of the fork, as the server's messages do. */
  readonly block: number;
  readonly storedChecksum: number;
  /** Undefined for a page that has bytes but no header. */
  readonly foundChecksum: number | undefined;
}

export interface PageCheckResult {
  readonly pages: number;
  /** All zeros: not yet used by the relation. */
  readonly newPages: number;
  /** Changed since the backup began and not whole as they came: the WAL brings them back. */
  readonly tornPages: number;
  /** The latest change that a torn page claims; one behind the backup's end can't be, so the page is damaged. */
  readonly tornLsnMax: Lsn;
  /** Worth a second look where the server lets us read: an old page that is written at this moment looks the same. */
  readonly damagedPages: number;
  /** The first of the damaged ones. */
  readonly damaged: readonly DamagedPage[];
  /** Bytes behind the last whole page; a file of a running server can end so only while it grows. */
  readonly partialBytes: number;
}

const damagedListedMax = 100;
const pageWords = pageBytes / 4;

export class PageCheck {
  readonly #firstBlock: number;
  readonly #startHigh: number;
  readonly #startLow: number;
  /** Views of bytes that lie askew can't be read as words; such pages, and those that come in pieces, are put together here. */
  readonly #page = new Uint8Array(new ArrayBuffer(pageBytes));
  readonly #pageWords = new Int32Array(this.#page.buffer);
  #filled = 0;
  /** The next page's number in the file. */
  #next = 0;
  #pages = 0;
  #newPages = 0;
  #tornPages = 0;
  #tornLsnMax = 0n;
  #damagedPages = 0;
  readonly #damaged: DamagedPage[] = [];

  /** `segment` is the file's number within its fork. `startLsn` is where the backup begins; changes from there on are in the WAL. */
  constructor({ segment, startLsn }: { readonly segment: number; readonly startLsn: Lsn }) {
    this.#firstBlock = segment * pagesPerSegment;
    this.#startHigh = Number(startLsn >> 32n);
    this.#startLow = Number(startLsn & 0xffffffffn);
  }

  /** Takes the next bytes, in pieces of any size. */
  push(bytes: Uint8Array): void {
    let at = 0;
    if (this.#filled > 0) {
      at = Math.min(pageBytes - this.#filled, bytes.length);
      this.#collect(bytes.subarray(0, at));
    }
    if ((bytes.byteOffset + at) % 4 === 0) at = this.#checkInPlace(bytes, at);
    for (; at < bytes.length; at += pageBytes) this.#collect(bytes.subarray(at, at + pageBytes));
  }

  /** The next bytes begin page number `page` of the file: what lies between did not come. */
  seek(page: number): void {
    assert.equal(this.#filled, 0, 'a page was left in its middle');
    this.#next = page;
  }

  finish(): PageCheckResult {
    return {
      pages: this.#pages,
      newPages: this.#newPages,
      tornPages: this.#tornPages,
      tornLsnMax: this.#tornLsnMax,
      damagedPages: this.#damagedPages,
      damaged: this.#damaged,
      partialBytes: this.#filled,
    };
  }

  #checkInPlace(bytes: Uint8Array, from: number): number {
    const count = Math.floor((bytes.length - from) / pageBytes);
    if (count <= 0) return from;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, count * pageWords);
    for (let page = 0; page < count; page += 1) this.#check(words, page * pageWords);
    return from + count * pageBytes;
  }

  #collect(piece: Uint8Array): void {
    assert.ok(this.#filled + piece.length <= pageBytes);
    this.#page.set(piece, this.#filled);
    this.#filled += piece.length;
    if (this.#filled < pageBytes) return;
    this.#filled = 0;
    this.#check(this.#pageWords, 0);
  }

  #check(words: Int32Array, first: number): void {
    const block = this.#firstBlock + this.#next;
    this.#next += 1;
    this.#pages += 1;
    const hasHeader = words[first + 3]! >>> 16 !== 0;
    if (!hasHeader && isBlank(words, first)) {
      this.#newPages += 1;
      return;
    }
    const storedChecksum = words[first + 2]! & 0xffff;
    const foundChecksum = hasHeader ? pageChecksum(words, first, block) : undefined;
    if (storedChecksum !== foundChecksum) this.#judge(words, first, { block, storedChecksum, foundChecksum });
  }

  #judge(words: Int32Array, first: number, page: DamagedPage): void {
    const [high, low] = [words[first]! >>> 0, words[first + 1]! >>> 0];
    if (high > this.#startHigh || (high === this.#startHigh && low >= this.#startLow)) {
      this.#tornPages += 1;
      const lsn = (BigInt(high) << 32n) | BigInt(low);
      if (lsn > this.#tornLsnMax) this.#tornLsnMax = lsn;
      return;
    }
    this.#damagedPages += 1;
    if (this.#damaged.length < damagedListedMax) this.#damaged.push(page);
  }
}

function isBlank(words: Int32Array, first: number): boolean {
  for (let at = first; at < first + pageWords; at += 1) if (words[at] !== 0) return false;
  return true;
}
