// Arithmetic of polynomials over GF(2), bit i standing for x^i: what restic's Rabin fingerprint is made of.
import { randomBytes } from 'node:crypto';

const degreeOf = (polynomial: bigint): number => polynomial.toString(2).length - 1;

export function modulo(value: bigint, divisor: bigint): bigint {
  const degree = degreeOf(divisor);
  let rest = value;
  while (rest !== 0n && degreeOf(rest) >= degree) rest ^= divisor << BigInt(degreeOf(rest) - degree);
  return rest;
}

function multiplyModulo(left: bigint, right: bigint, divisor: bigint): bigint {
  let product = 0n;
  let factor = left;
  for (let rest = right; rest !== 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) product ^= factor;
    factor = modulo(factor << 1n, divisor);
  }
  return product;
}

function greatestCommonDivisor(left: bigint, right: bigint): bigint {
  let [divisor, rest] = [left, right];
  while (rest !== 0n) [divisor, rest] = [rest, modulo(divisor, rest)];
  return divisor;
}

/** Ben-Or's test: no factor of degree i for any i up to half the degree. */
export function isIrreducible(polynomial: bigint): boolean {
  let power = 2n; // x
  for (let degree = 1; degree <= degreeOf(polynomial) / 2; degree += 1) {
    power = multiplyModulo(power, power, polynomial);
    if (greatestCommonDivisor(polynomial, power ^ 2n) !== 1n) return false;
  }
  return true;
}

/** A random irreducible polynomial of degree 53, as hex for the repository's configuration. */
export function randomPolynomial(): string {
  for (;;) {
    const random = randomBytes(8).readBigUInt64LE() & ((1n << 53n) - 1n);
    const candidate = random | (1n << 53n) | 1n;
    if (isIrreducible(candidate)) return candidate.toString(16);
  }
}
