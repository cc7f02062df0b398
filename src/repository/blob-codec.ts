// One blob: content ↔ stored bytes. Every content that leaves here was checked against its id.
import { frameMaxBytes, zstd } from '../base/zstd.ts';
import { hashOf, type BlobId } from './ids.ts';
import { open, sealOverheadBytes, type KeyTriple } from './seal.ts';

/** restic's own data blobs end at 8 MiB; a tree may be large, but not without limit. */
const plainMaxBytes = 1024 * 1024 * 1024;

/** zstd level for "store as it is". */
const levelOff = 0;

let scratch = Buffer.alloc(0);

/** Memory of this thread that the next call uses again. */
function scratchOf(sizeBytes: number): Buffer {
  if (scratch.length < sizeBytes) scratch = Buffer.allocUnsafeSlow(sizeBytes);
  return scratch;
}

/**
 * What goes into the seal: zstd, or the content itself where compression is off or the content is empty.
 * The bytes are valid until the next call in this thread.
 */
export function packContent(
  content: Uint8Array,
  level: number,
): { readonly bytes: Uint8Array; readonly plainLengthBytes: number } {
  if (level === levelOff || content.length === 0) return { bytes: content, plainLengthBytes: 0 };
  const target = scratchOf(frameMaxBytes(content.length));
  const lengthBytes = zstd().compress(content, target, level);
  return { bytes: target.subarray(0, lengthBytes), plainLengthBytes: content.length };
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
  const content = plainLengthBytes === 0 ? opened : decompress(opened, expected);
  if (hashOf(content) !== expected.id) throw new Error(`the content of blob ${expected.id} does not fit its id`);
  return content;
}

function decompress(
  frames: Buffer,
  { id, plainLengthBytes }: { readonly id: BlobId; readonly plainLengthBytes: number },
): Buffer {
  const content = Buffer.allocUnsafeSlow(plainLengthBytes);
  const lengthBytes = zstd().decompress(frames, content);
  if (lengthBytes !== plainLengthBytes)
    throw new Error(`blob ${id} has ${lengthBytes} bytes instead of ${plainLengthBytes}`);
  return content;
}

/** How long the content of a stored blob is. */
export function plainBytesOf(blob: { readonly plainLengthBytes: number; readonly lengthBytes: number }): number {
  return blob.plainLengthBytes === 0 ? blob.lengthBytes - sealOverheadBytes : blob.plainLengthBytes;
}
