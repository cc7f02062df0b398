import { expect, test } from 'vitest';
import { open, seal, SealBroken } from './seal.ts';

const range = (from: number, count: number): Buffer => Buffer.from(Array.from({ length: count }, (_, at) => from + at));
const keys = { encrypt: range(0, 32), macK: range(0x20, 16), macR: range(0x30, 16) };
const iv = range(0x40, 16);

test.each([
  ['', '859469c07743c7e45b318d151d3d87e9'],
  ['hello restic', 'cb1bb353f87ac88ae00f0ba4818f299f0076bb28b1499f7278ed527b'],
  [
    'The quick brown fox jumps over the lazy dog',
    'f716ba1fe62fd38cf85b00b5e22cdf77d61a66b3c29b0931f8c9d2b8352475458d158387cc9ade2489a6d9a187cd85757b43f2e1e6e80304e32ecb',
  ],
])("seals '%s' to restic's own bytes", (text, expected) => {
  expect(seal(keys, Buffer.from(text), iv).toString('hex')).toBe(iv.toString('hex') + expected);
});

test('a clamped and an unclamped r give the same seal', () => {
  const clamped = { ...keys, macR: Buffer.from('303132033435360738393a0b3c3d3e0f', 'hex') };
  expect(seal(clamped, Buffer.from('hello restic'), iv)).toEqual(seal(keys, Buffer.from('hello restic'), iv));
});

test('the counter wraps over all 128 bits', () => {
  const sealed = seal(keys, Buffer.alloc(33), Buffer.alloc(16, 0xff));
  expect(sealed.subarray(16, 49).toString('hex')).toBe(
    'e999e41d4ca770da5387117b5d8f57eef29000b62a499fd0a9f39a6add2e7780f0',
  );
});

test('opens what it sealed and takes a fresh nonce each time', () => {
  const plain = Buffer.from('some bytes');
  const [first, second] = [seal(keys, plain), seal(keys, plain)];
  expect(open(keys, first)).toEqual(plain);
  expect(first.equals(second)).toBe(false);
});

test('any flipped bit, any cut and a zero nonce are refused', () => {
  const sealed = seal(keys, Buffer.from('some bytes'));
  for (let at = 0; at < sealed.length * 8; at += 1) {
    const damaged = Buffer.from(sealed);
    damaged.writeUInt8(damaged.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
    expect(() => open(keys, damaged)).toThrow(SealBroken);
  }
  for (let length = 0; length < sealed.length; length += 1) {
    expect(() => open(keys, sealed.subarray(0, length))).toThrow(SealBroken);
  }
  expect(() => open(keys, seal(keys, Buffer.from('x'), Buffer.alloc(16)))).toThrow(SealBroken);
});
