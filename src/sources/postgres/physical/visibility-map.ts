// Servers of 17 and 18 forget in incremental backups which pages of a visibility map lost bits, so a map put together from such
// a backup says of changed pages that all rows are visible: deleted rows come back in index-only scans. A bit that is not set
// is always right, only slower, until the next VACUUM: so the bits of every page that changed are cleared.
import assert from 'node:assert/strict';
import { pageChecksum } from './page-checksum.ts';
import { pageBytes } from './relation-file.ts';

const headerBytes = 24;
/** Two bits a page of the table: all visible, all frozen. */
const heapBlocksPerByte = 4;
export const heapBlocksPerMapPage = (pageBytes - headerBytes) * heapBlocksPerByte;

/** Which pages of one table changed: a bit each, kept only for the stretches of 255 MB in which there are any. */
export class ChangedBlocks {
  readonly #stretches = new Map<number, Uint8Array>();

  /** `blocks` count from the start of the file with number `segment`. */
  addBlocks(segment: number, blocks: Uint32Array, pagesPerFile: number): void {
    for (const block of blocks) this.addRange(segment * pagesPerFile + block, segment * pagesPerFile + block + 1);
  }

  /** Pages `from` to before `to`, counted from the start of the table. */
  addRange(from: number, to: number): void {
    for (let block = from; block < to; block += 1) {
      const within = block % heapBlocksPerMapPage;
      const bits = this.#bitsOf(Math.floor(block / heapBlocksPerMapPage), (within >> 3) + 1);
      bits[within >> 3]! |= 1 << (within & 7);
    }
  }

  /** At least so many bytes: most tables are small. */
  #bitsOf(mapPage: number, bytes: number): Uint8Array {
    const known = this.#stretches.get(mapPage);
    if (known !== undefined && known.length >= bytes) return known;
    const bits = new Uint8Array(Math.min(heapBlocksPerMapPage / 8, Math.max(64, 2 * bytes)));
    if (known !== undefined) bits.set(known);
    this.#stretches.set(mapPage, bits);
    return bits;
  }

  /** Pages of the visibility map that are concerned, ascending. */
  get mapPages(): number[] {
    return [...this.#stretches.keys()].toSorted((left, right) => left - right);
  }

  /** A bit for each page of the table that this page of the map tells of, up to the last that changed; undefined if none did. */
  of(mapPage: number): Uint8Array | undefined {
    return this.#stretches.get(mapPage);
  }
}

export interface MapRepair {
  readonly changed: ChangedBlocks;
  /** Pages that the table has now; bits beyond are cleared, too. */
  readonly heapBlocks: number;
  /** The cluster has checksums: a page that was altered gets a new one. */
  readonly hasChecksums: boolean;
}

/**
 * Clears in `page`, which is number `mapPage` of the map (counted over its files), the bits of changed pages.
 * Tells whether that altered it. `page` lies so that it can be read as words.
 */
export function repairMapPage(page: Uint8Array, mapPage: number, repair: MapRepair): boolean {
  assert.ok(page.length === pageBytes && page.byteOffset % 4 === 0);
  if (isNew(page)) return false;
  const endOfHeap = repair.heapBlocks - mapPage * heapBlocksPerMapPage;
  const hasChanged = clearChanged(page, repair.changed.of(mapPage));
  const isAltered = clearFrom(page, Math.max(0, endOfHeap)) || hasChanged;
  if (isAltered && repair.hasChecksums) {
    const sum = pageChecksum(new Int32Array(page.buffer, page.byteOffset, pageBytes / 4), 0, mapPage);
    page[8] = sum & 0xff;
    page[9] = sum >>> 8;
  }
  return isAltered;
}

/** `pd_upper` is zero: without a header, and so without bits. */
function isNew(page: Uint8Array): boolean {
  return page[14] === 0 && page[15] === 0;
}

function clearChanged(page: Uint8Array, changed: Uint8Array | undefined): boolean {
  if (changed === undefined) return false;
  let isAltered = false;
  for (let index = 0; index < changed.length; index += 1) {
    const bits = changed[index]!;
    if (bits === 0) continue;
    const at = headerBytes + 2 * index;
    isAltered = clear(page, at, doubled(bits & 15)) || isAltered;
    isAltered = clear(page, at + 1, doubled(bits >>> 4)) || isAltered;
  }
  return isAltered;
}

/** Clears what belongs to the table's pages from `block` on, counted from the first that this page of the map tells of. */
function clearFrom(page: Uint8Array, block: number): boolean {
  if (block >= heapBlocksPerMapPage) return false;
  const at = headerBytes + Math.floor(block / heapBlocksPerByte);
  let isAltered = clear(page, at, (0xff << (2 * (block % heapBlocksPerByte))) & 0xff);
  for (let next = at + 1; next < pageBytes; next += 1) isAltered = clear(page, next, 0xff) || isAltered;
  return isAltered;
}

function clear(page: Uint8Array, at: number, mask: number): boolean {
  const before = page[at]!;
  page[at] = before & ~mask;
  return (before & mask) !== 0;
}

/** Four bits, each twice: `0101` becomes `00110011`. */
function doubled(bits: number): number {
  const spread = (bits & 1) | ((bits & 2) << 1) | ((bits & 4) << 2) | ((bits & 8) << 3);
  return spread * 3;
}
