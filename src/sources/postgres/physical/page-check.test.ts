import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import { PageCheck, type PageCheckResult } from './page-check.ts';
import { pageChecksum } from './page-checksum.ts';

const startLsn = 0x2_0000_0100n;

/** A page with a header that was last changed at `lsn`, and the checksum that belongs to it. */
function page(block: number, { lsn = 0x1_0000_0000n, filler = 1 } = {}): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(8192)).fill(filler);
  bytes.writeUInt32LE(Number(lsn >> 32n), 0);
  bytes.writeUInt32LE(Number(lsn & 0xffffffffn), 4);
  const words = new Int32Array(bytes.buffer);
  bytes.writeUInt16LE(pageChecksum(words, 0, block), 8);
  return bytes;
}

function isSumStillRight(bytes: Buffer, block: number): boolean {
  const one = Buffer.from(bytes.subarray(block * 8192, (block + 1) * 8192));
  return pageChecksum(new Int32Array(one.buffer, one.byteOffset, 2048), 0, block) === one.readUInt16LE(8);
}

function check(bytes: Uint8Array, lengths: readonly number[] = [bytes.length || 1], segment = 0): PageCheckResult {
  const checker = new PageCheck({ segment, startLsn });
  for (const piece of pieces(bytes, lengths)) checker.push(piece);
  return checker.finish();
}

test('a byte that flips anywhere is found in exactly its page, wherever the bytes are split', () => {
  const good = Buffer.concat([page(0), Buffer.alloc(8192), page(2), page(3, { filler: 9 })]);
  expect(check(good)).toMatchObject({ pages: 4, newPages: 1, damagedPages: 0, tornPages: 0, partialBytes: 0 });
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), pieceLengths, (at, change, lengths) => {
      fc.pre(at % 8192 >= 8); // A changed LSN may say that the page is torn.
      const bytes = Buffer.from(good);
      bytes[at] = bytes.readUInt8(at) ^ change;
      fc.pre(!isSumStillRight(bytes, Math.floor(at / 8192))); // One in 65 535 is: the sum has 16 bits.
      expect(check(bytes, lengths).damaged.map(({ block }) => block)).toEqual([Math.floor(at / 8192)]);
    }),
    { numRuns: 300 },
  );
});

test('a page that does not fit its sum but was changed since the backup began is torn, not damaged', () => {
  const before = page(0, { lsn: startLsn - 1n });
  const since = page(1, { lsn: startLsn });
  const later = page(2, { lsn: startLsn + 5n });
  for (const one of [before, since, later]) one[4000] = 77;
  expect(check(Buffer.concat([before, since, later]))).toMatchObject({
    damagedPages: 1,
    damaged: [{ block: 0 }],
    tornPages: 2,
    tornLsnMax: startLsn + 5n,
  });
});

test('a page that was never used and has an LSN is damaged, or torn if that is new', () => {
  const withLsn = (lsn: bigint): Buffer => {
    const bytes = Buffer.alloc(8192);
    bytes.writeUInt32LE(Number(lsn >> 32n), 0);
    bytes.writeUInt32LE(Number(lsn & 0xffffffffn), 4);
    return bytes;
  };
  expect(check(withLsn(1n))).toMatchObject({ damagedPages: 1, tornPages: 0, newPages: 0 });
  expect(check(withLsn(startLsn))).toMatchObject({ damagedPages: 0, tornPages: 1 });
});

test('blocks count on over the segments of a fork', () => {
  expect(check(page(131_072 * 3), undefined, 3).damaged).toEqual([]);
  expect(check(page(0), undefined, 3).damaged).toMatchObject([{ block: 393_216 }]);
});

test('a page with bytes but without a header is damaged', () => {
  const bytes = Buffer.alloc(8192);
  bytes[8191] = 1;
  expect(check(bytes).damaged).toEqual([{ block: 0, storedChecksum: 0, foundChecksum: undefined }]);
});

test('a last page that is not whole is told, and damage beyond the list is counted', () => {
  expect(check(Buffer.concat([page(0), Buffer.alloc(100, 1)]))).toMatchObject({ pages: 1, partialBytes: 100 });
  const spoilt = Buffer.alloc(8192 * 150);
  for (let at = 8191; at < spoilt.length; at += 8192) spoilt[at] = 1;
  const many = check(spoilt);
  expect(many.damagedPages).toBe(150);
  expect(many.damaged).toHaveLength(100);
});

test('the bytes are only read', () => {
  const bytes = page(5);
  const copy = Buffer.from(bytes);
  check(bytes);
  expect(bytes).toEqual(copy);
});
