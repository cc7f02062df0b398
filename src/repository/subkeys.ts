// Keys of our own beside restic's: everything that is not one of restic's files is sealed under keys that are derived from
// the master key for one purpose, so that nothing of one purpose can pose as something of another.
import { createHmac, hkdfSync } from 'node:crypto';
import type { KeyTriple } from './seal.ts';

function derive(keys: KeyTriple, info: string, sizeBytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', keys.encrypt, '', `lifeboat ${info}`, sizeBytes));
}

export function subkeys(keys: KeyTriple, purpose: string): KeyTriple {
  const bytes = derive(keys, purpose, 64);
  return { encrypt: bytes.subarray(0, 32), macK: bytes.subarray(32, 48), macR: bytes.subarray(48) };
}

/** Stands for `subject` in names of files: 64 hex digits that nobody can compute or invert without the key. */
export function keyedName(keys: KeyTriple, purpose: string, subject: string): string {
  return createHmac('sha256', derive(keys, purpose, 32))
    .update(subject)
    .digest('hex');
}
