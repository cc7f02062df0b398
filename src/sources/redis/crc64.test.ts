import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Crc64 } from './crc64.ts';

test('the check value of CRC-64/Jones comes out', () => {
  expect(new Crc64().update(Buffer.from('123456789')).digest().readBigUInt64LE(0)).toBe(0xe9c6d914c4b8d9can);
});

test('where the bytes are split does not matter', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
      const parts = new Crc64().update(bytes.subarray(0, at)).update(bytes.subarray(at));
      expect(parts.digest()).toEqual(new Crc64().update(bytes).digest());
    }),
  );
});
