import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareNames, nameFromBytes, nameToBytes } from './byte-name.ts';

test('any bytes survive the way to a name and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(nameToBytes(nameFromBytes(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
    }),
  );
});

test('any text is its own name', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(nameFromBytes(Buffer.from(text, 'utf8'))).toBe(Buffer.from(text, 'utf8').toString('utf8'));
    }),
  );
});

test('stray bytes become lone surrogates and stay distinct', () => {
  expect(nameFromBytes(Buffer.from('626164fffe78', 'hex'))).toBe('bad\udcff\udcfex');
});

test('names are ordered by their bytes, not by UTF-16 units', () => {
  expect(compareNames('\u{1f600}', '\ufffd')).toBeGreaterThan(0);
  expect(['b', 'a', 'ä', 'Z'].toSorted(compareNames)).toEqual(['Z', 'a', 'b', 'ä']);
});
