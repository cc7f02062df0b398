import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatByteSize, parseByteSize } from './byte-size.ts';

describe('parseByteSize', () => {
  test.each([
    ['5 GB', 5e9],
    ['5GiB', 5 * 2 ** 30],
    ['1.5 MiB', 1_572_864],
    ['10kb', 10_000],
    ['10 KiB', 10_240],
    ['12 B', 12],
    ['12', 12],
    ['0', 0],
  ])('reads %s', (text, sizeBytes) => {
    expect(parseByteSize(text)).toBe(sizeBytes);
  });

  test.each(['', '5G', '5 Gi', '-1 GB', 'GB', '1 GB 2 MB', '9999999 PB', '1e6'])('refuses "%s"', (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });
});

describe('formatByteSize', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [12_897_485, '12.3 MiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [5 * 2 ** 30, '5 GiB'],
  ])('writes %d bytes as %s', (sizeBytes, text) => {
    expect(formatByteSize(sizeBytes)).toBe(text);
  });

  test('is read back to within a twentieth of the unit it shows', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 52 }), (sizeBytes) => {
        const text = formatByteSize(sizeBytes);
        const unitBytes = parseByteSize(`1 ${text.split(' ')[1]}`) ?? Number.NaN;
        const readBytes = parseByteSize(text) ?? Number.NaN;
        expect(Math.abs(readBytes - sizeBytes)).toBeLessThanOrEqual(unitBytes / 20 + 1);
        expect(formatByteSize(readBytes)).toBe(text);
      }),
    );
  });
});
