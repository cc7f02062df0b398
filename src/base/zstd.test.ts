import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameMaxBytes, zstd } from './zstd.ts';

function compress(content: Uint8Array, level = 1): Buffer {
  const target = Buffer.alloc(frameMaxBytes(content.length));
  return target.subarray(0, zstd().compress(content, target, level));
}

function decompress(frame: Uint8Array, sizeBytes: number): Buffer {
  const target = Buffer.alloc(sizeBytes);
  return target.subarray(0, zstd().decompress(frame, target));
}

test('node:zlib reads what it wrote and the other way round', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 19 }), (bytes, level) => {
      expect(zstdDecompressSync(compress(bytes, level))).toEqual(Buffer.from(bytes));
      expect(decompress(zstdCompressSync(bytes), bytes.length)).toEqual(Buffer.from(bytes));
    }),
  );
});

test('content in shared memory is read in place', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(100_000)).fill(7);
  expect(zstdDecompressSync(compress(shared))).toEqual(Buffer.alloc(100_000, 7));
});

test('a target that is too small, cut frames and trailing garbage are refused', () => {
  const frame = compress(Buffer.from('some content, some content'));
  expect(() => decompress(frame, 10)).toThrow('zstd');
  expect(() => decompress(frame.subarray(0, -1), 100)).toThrow('zstd');
  expect(() => decompress(Buffer.concat([frame, Buffer.from('x')]), 100)).toThrow('zstd');
  expect(() => zstd().compress(Buffer.alloc(1000), Buffer.alloc(3), 1)).toThrow('zstd');
});

test('frames without a content size are read', () => {
  const frame = Buffer.from('28b52ffd000061000068656c6c6f20776f726c640a', 'hex');
  expect(decompress(frame, 12).toString()).toBe('hello world\n');
});
