// One blob: content ↔ stored bytes. Every content that leaves here was checked against its id.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { hashOf, type BlobId } from './ids.ts';
import { open, type KeyTriple } from './seal.ts';

/** restic's own data blobs end at 8 MiB; a tree may be large, but not without limit. */
export const plainMaxBytes = 1024 * 1024 * 1024;

/** zstd level for "store as it is". */
export const levelOff = 0;

/** What goes into the seal: zstd, or the content itself where compression is off or the content is empty. */
export function packContent(
  content: Uint8Array,
  level: number,
): { readonly bytes: Uint8Array; readonly plainLengthBytes: number } {
  if (level === levelOff || content.length === 0) return { bytes: content, plainLengthBytes: 0 };
  const bytes = zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: level } });
  return { bytes, plainLengthBytes: content.length };
}

/** The content of a stored blob. Throws if it is damaged in any way or is not the blob of that id. */
export function openBlob(
  keys: KeyTriple,
  stored: Uint8Array,
  expected: { readonly id: BlobId; readonly plainLengthBytes: number },
): Buffer {
  const opened = open(keys, stored);
  const { plainLengthBytes } = expected;
  if (plainLengthBytes > plainMaxBytes) throw new Error(`blob ${expected.id} says it has ${plainLengthBytes} bytes`);
  const content = plainLengthBytes === 0 ? opened : zstdDecompressSync(opened, { maxOutputLength: plainLengthBytes });
  if (plainLengthBytes > 0 && content.length !== plainLengthBytes) {
    throw new Error(`blob ${expected.id} has ${content.length} bytes instead of ${plainLengthBytes}`);
  }
  if (hashOf(content) !== expected.id) throw new Error(`the content of blob ${expected.id} does not fit its id`);
  return content;
}
