import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, crc32cEnd, crc32cStart, crc32cUpdate } from './crc32c.ts';

test('the check value of CRC-32C comes out', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('a sum over parts is that of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const at = Math.min(cut, bytes.length);
      const first = crc32cUpdate(crc32cStart, view, { from: 0, to: at });
      expect(crc32cEnd(crc32cUpdate(first, view, { from: at, to: bytes.length }))).toBe(crc32c(bytes));
    }),
  );
});
