import { createDecipheriv, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { aesCtr } from './aes-ctr.ts';

const key = Buffer.from('2b7e151628aed2a6abf7158809cf4f3c', 'hex');
const iv = Buffer.from('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');

test('gives the ciphertext of NIST SP 800-38A, F.5.1', () => {
  const plain = Buffer.from('6bc1bee22e409f96e93d7e117393172a', 'hex');
  const target = Buffer.alloc(16);
  aesCtr()({ key, iv }, plain, target);
  expect(target.toString('hex')).toBe('874d6191b620e3261bef6864990db6ce');
});

test.each([0, 1, 15, 16, 17, 1_000_003])(
  '%i bytes can be decrypted by node:crypto, and in place by itself',
  (length) => {
    const long = randomBytes(32);
    const plain = randomBytes(length);
    const target = Buffer.alloc(length);
    aesCtr()({ key: long, iv }, plain, target);
    expect(createDecipheriv('aes-256-ctr', long, iv).update(target).equals(plain)).toBe(true);
    aesCtr()({ key: long, iv }, target, target);
    expect(target.equals(plain)).toBe(true);
  },
);

test('refuses keys, vectors and targets of a wrong length', () => {
  expect(() => aesCtr()({ key: key.subarray(1), iv }, key, Buffer.alloc(16))).toThrow('15 16 16 16 bytes');
  expect(() => aesCtr()({ key, iv: iv.subarray(1) }, key, Buffer.alloc(16))).toThrow('16 15 16 16 bytes');
  expect(() => aesCtr()({ key, iv }, key, Buffer.alloc(15))).toThrow('16 16 16 15 bytes');
});
