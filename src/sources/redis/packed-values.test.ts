import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../test/support/only-app-errors.ts';
import { AppError } from '../../base/errors.ts';
import { intsetElements } from './intset.ts';
import { listpackElements } from './listpack.ts';
import { lzfDecompress } from './lzf.ts';
import { ziplistElements } from './ziplist.ts';
import { zipmapElements } from './zipmap.ts';

const texts = (elements: Iterable<Buffer>) => [...elements].map((element) => element.toString('latin1'));

/** Entries without their back length, which is one byte for short ones. */
function listpack(...entries: readonly string[]): Buffer {
  const body = Buffer.concat(entries.map((hex) => Buffer.concat([Buffer.from(hex, 'hex'), Buffer.of(hex.length / 2)])));
  const header = Buffer.alloc(6);
  header.writeUInt32LE(body.length + 7, 0);
  header.writeUInt16LE(entries.length, 4);
  return Buffer.concat([header, body, Buffer.of(0xff)]);
}

test('a listpack yields each kind of integer and string', () => {
  const packed = listpack(
    '7f',
    '83616263',
    'dfff',
    'c005',
    'e00161',
    'f10080',
    'f2ffffff',
    'f300000080',
    'f4ffffffffffffff7f',
  );
  expect(texts(listpackElements(packed))).toEqual([
    '127',
    'abc',
    '-1',
    '5',
    'a',
    '-32768',
    '-1',
    '-2147483648',
    '9223372036854775807',
  ]);
});

test('a listpack that states another size, another count or an unknown encoding is refused', () => {
  const good = listpack('01', '02');
  const size = Buffer.from(good);
  size[0] = 3;
  const count = Buffer.from(good);
  count[4] = 3;
  for (const bad of [size, count, listpack('f5'), good.subarray(0, 8)]) {
    expect(() => [...listpackElements(bad)]).toThrow(AppError);
  }
});

test('an intset yields negative and wide integers', () => {
  const packed = Buffer.from('0800000002000000feffffffffffffff00f2052a01000000', 'hex');
  expect(texts(intsetElements(packed))).toEqual(['-2', '5000000000']);
});

test('compressed data with an overlapping reference repeats its pattern', () => {
  expect(lzfDecompress(Buffer.from('0161624001', 'hex'), 6).toString()).toBe('ababab');
});

test.each([
  ['a reference before the beginning', '4005', 4],
  ['a literal longer than the data', '0561', 6],
  ['more than stated', '0161624001', 5],
  ['less than stated', '0161624001', 7],
  ['a size no data of that length can have', '00', 2 ** 31],
])('compressed data with %s is refused', (_, hex, sizeBytes) => {
  expect(() => lzfDecompress(Buffer.from(hex, 'hex'), sizeBytes)).toThrow(AppError);
});

const decoders = {
  intset: (bytes: Buffer) => [...intsetElements(bytes)],
  listpack: (bytes: Buffer) => [...listpackElements(bytes)],
  ziplist: (bytes: Buffer) => [...ziplistElements(bytes)],
  zipmap: (bytes: Buffer) => [...zipmapElements(bytes)],
  lzf: (bytes: Buffer) => [lzfDecompress(bytes, bytes.length * 3)],
};

test.each(Object.entries(decoders))('any bytes at all make the %s decoder yield or throw our error', (_, decode) => {
  const sized = fc.uint8Array({ maxLength: 80 }).map((body) => {
    const bytes = Buffer.concat([Buffer.alloc(4), body]);
    bytes.writeUInt32LE(bytes.length); // Otherwise most would fail at the first check.
    return bytes;
  });
  const bytes = fc.oneof(
    sized,
    fc.uint8Array({ maxLength: 80 }).map((plain) => Buffer.from(plain)),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      expect(() => onlyAppErrors(() => decode(input))).not.toThrow();
    }),
    { numRuns: 2000 },
  );
});
