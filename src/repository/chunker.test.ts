import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';
import { chunkMaxBytes, chunkMinBytes, type Chunker } from './chunker.ts';
import { createChunker } from './create-chunker.ts';
import { hashOf } from './ids.ts';
import { isIrreducible, randomPolynomial } from './polynomial.ts';

const gearSecret = Buffer.alloc(32, 7);
const noise = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(20 * 1024 * 1024));

function chunkLengths(chunker: Chunker, bytes: Uint8Array): number[] {
  const lengths: number[] = [];
  for (let from = 0; from < bytes.length;) {
    const cut = chunker.nextCut(bytes, from, bytes.length) || bytes.length;
    lengths.push(cut - from);
    from = cut;
  }
  return lengths;
}

test('the input of the golden vectors is the right one', () => {
  expect(hashOf(noise)).toBe('b9185b15757f27d70445347bf25e92aac76c0e8b38ceee5b88fa7efdb3ada2c5');
});

test.each([
  ['3da3358b4dc173', [551133, 640712, 2766582, 898583, 2782732, 2263350, 531615, 1191198, 3039727, 3056265, 3249623]],
  ['3acb6c2fec1683', [992621, 2803715, 2485843, 1729432, 1141028, 637524, 559718, 1415620, 7640676, 1565343]],
])('cuts where restic cuts with the polynomial %s', (polynomial, expected) => {
  expect(chunkLengths(createChunker('rabin', { polynomial, gearSecret }), noise)).toEqual(expected);
});

test('zeros are cut at the minimum by the fingerprint', () => {
  const chunker = createChunker('rabin', { polynomial: '3da3358b4dc173', gearSecret });
  expect(chunkLengths(chunker, Buffer.alloc(3_145_745))).toEqual([...Array.from({ length: 6 }, () => 524_288), 17]);
});

test('the gear hash keeps the limits and finds its cuts again after an insertion', () => {
  const chunker = createChunker('gear', { polynomial: '3da3358b4dc173', gearSecret });
  const lengths = chunkLengths(chunker, noise);
  for (const length of lengths.slice(0, -1)) {
    expect(length).toBeGreaterThanOrEqual(chunkMinBytes);
    expect(length).toBeLessThanOrEqual(chunkMaxBytes);
  }
  expect(lengths.length).toBeGreaterThan(5);
  const shifted = Buffer.concat([Buffer.from('inserted'), noise]);
  const ends = (all: readonly number[]): Set<number> =>
    new Set(all.map((_, at) => all.slice(at + 1).reduce((sum, length) => sum + length, 0)));
  const common = ends(lengths).intersection(ends(chunkLengths(chunker, shifted)));
  expect(common.size).toBeGreaterThanOrEqual(lengths.length - 3);
});

test('another secret cuts elsewhere', () => {
  const other = createChunker('gear', { polynomial: '3da3358b4dc173', gearSecret: Buffer.alloc(32, 8) });
  const chunker = createChunker('gear', { polynomial: '3da3358b4dc173', gearSecret });
  expect(chunkLengths(other, noise)).not.toEqual(chunkLengths(chunker, noise));
});

test('a chunk that is not complete yet is not cut', () => {
  for (const name of ['gear', 'rabin'] as const) {
    const chunker = createChunker(name, { polynomial: '3da3358b4dc173', gearSecret });
    const [first = 0] = chunkLengths(chunker, noise);
    expect(chunker.nextCut(noise, 0, first - 1)).toBe(0);
    expect(chunker.nextCut(noise, 0, first)).toBe(first);
  }
});

test('knows irreducible polynomials and makes them', () => {
  expect(isIrreducible(0x3da3358b4dc173n)).toBe(true);
  expect(isIrreducible(0x3da3358b4dc172n)).toBe(false);
  expect(isIrreducible(0b101n)).toBe(false); // (x+1)²
  const polynomial = BigInt(`0x${randomPolynomial()}`);
  expect(polynomial.toString(2)).toHaveLength(54);
  expect(isIrreducible(polynomial)).toBe(true);
});
