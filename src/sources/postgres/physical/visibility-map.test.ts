import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pageChecksum } from './page-checksum.ts';
import { ChangedBlocks, repairMapPage } from './visibility-map.ts';

const heapBlocksPerPage = 32_672;

/** A page of the map that says of every page of the table: all visible, all frozen. */
function mapPage(): Buffer {
  const page = Buffer.from(new ArrayBuffer(8192)).fill(0xff);
  page.writeUInt16LE(24, 14); // pd_upper: the page is in use.
  return page;
}

function checksumOf(page: Buffer, block: number): number {
  return pageChecksum(new Int32Array(page.buffer, page.byteOffset, 2048), 0, block);
}

/** Both bits of a page of the table, by the definition of the format. */
function bitsOf(page: Buffer, heapBlock: number): number {
  return (page.readUInt8(24 + Math.floor((heapBlock % heapBlocksPerPage) / 4)) >> (2 * (heapBlock % 4))) & 3;
}

test('bits go for pages that changed and beyond the end of the table, and for no other', () => {
  const blocks = fc.uniqueArray(fc.oneof(fc.nat(3 * heapBlocksPerPage), fc.nat(20)), { maxLength: 40 });
  const heap = fc.integer({ min: 1, max: 3 * heapBlocksPerPage });
  fc.assert(
    fc.property(blocks, heap, fc.nat(2), (list, heapBlocks, number) => {
      const changed = new ChangedBlocks();
      changed.addBlocks(0, Uint32Array.from(list), 131_072);
      const page = mapPage();
      const isAltered = repairMapPage(page, number, { changed, heapBlocks, hasChecksums: true });
      const first = number * heapBlocksPerPage;
      const gone = new Set(list);
      let wrong = 0;
      let cleared = 0;
      for (let block = first; block < first + heapBlocksPerPage; block += 1) {
        const isCleared = gone.has(block) || block >= heapBlocks;
        if (bitsOf(page, block) !== (isCleared ? 0 : 3)) wrong += 1;
        if (isCleared) cleared += 1;
      }
      expect({ wrong, isAltered }).toEqual({ wrong: 0, isAltered: cleared > 0 });
      expect(isAltered ? page.readUInt16LE(8) : checksumOf(page, number)).toBe(checksumOf(page, number));
    }),
    { numRuns: 40 },
  );
});

test('pages count on over the files of a table', () => {
  const changed = new ChangedBlocks();
  changed.addBlocks(1, Uint32Array.of(5), 131_072);
  changed.addRange(10, 12);
  expect(changed.mapPages).toEqual([0, 4]);
  const page = mapPage();
  repairMapPage(page, 4, { changed, heapBlocks: 2 ** 32, hasChecksums: false });
  expect([131_076, 131_077, 131_078].map((block) => bitsOf(page, block))).toEqual([3, 0, 3]);
});

test('a page that loses nothing, or was never used, stays as it is', () => {
  const changed = new ChangedBlocks();
  const page = mapPage();
  const copy = Buffer.from(page);
  expect(repairMapPage(page, 0, { changed, heapBlocks: heapBlocksPerPage, hasChecksums: true })).toBe(false);
  expect(page).toEqual(copy);
  const blank = Buffer.from(new ArrayBuffer(8192));
  expect(repairMapPage(blank, 0, { changed, heapBlocks: 0, hasChecksums: true })).toBe(false);
  expect(blank.every((byte) => byte === 0)).toBe(true);
});

test('without checksums in the cluster none is written', () => {
  const changed = new ChangedBlocks();
  changed.addRange(0, 1);
  const page = mapPage();
  expect(repairMapPage(page, 0, { changed, heapBlocks: 100, hasChecksums: false })).toBe(true);
  expect(page.readUInt16LE(8)).toBe(0xffff);
});
