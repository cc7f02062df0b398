// "Unpacked" files (index, snapshot, lock): JSON, compressed, sealed. Byte 0 of the plaintext tells the form:
// `{` or `[` is plain JSON (version 1), 0x02 is followed by zstd.
import { zstdDecompressSync } from 'node:zlib';
import { frameMaxBytes, zstd } from '../base/zstd.ts';
import { open, seal, type KeyTriple } from './seal.ts';

const zstdForm = 2;
/** What restic uses. */
const level = 3;
/** An index of 50 000 blobs has about 8 MB; a snapshot with many excludes far less. Bounds hostile frames. */
const plainMaxBytes = 512 * 1024 * 1024;

export function encodeUnpacked(keys: KeyTriple, json: string): Buffer {
  const content = Buffer.from(json);
  const plain = Buffer.allocUnsafeSlow(1 + frameMaxBytes(content.length));
  plain[0] = zstdForm;
  return seal(keys, plain.subarray(0, 1 + zstd().compress(content, plain.subarray(1), level)));
}

/** The JSON text. Throws `SealBroken` or whatever zstd says of damaged frames; the caller names the file. */
export function decodeUnpacked(keys: KeyTriple, sealed: Uint8Array): string {
  const plain = open(keys, sealed);
  const first = plain[0];
  if (first === 0x7b || first === 0x5b) return plain.toString('utf8');
  if (first !== zstdForm) throw new Error(`unknown form ${first ?? 'of an empty file'}`);
  return zstdDecompressSync(plain.subarray(1), { maxOutputLength: plainMaxBytes }).toString('utf8');
}
