// One blob: content ↔ stored bytes. Every content that leaves here was checked against its id.
import { alignedBytes } from '../base/aligned-memory.ts';
import { frameMaxBytes, zstd } from '../base/zstd.ts';
import { chunkMaxBytes } from './chunker.ts';
import { hashOf, type BlobId } from './ids.ts';
import { openInto, sealOverheadBytes, type KeyTriple } from './seal.ts';

/** restic's own data blobs end at 8 MiB; a tree may be large, but not without limit. */
const plainMaxBytes = 1024 * 1024 * 1024;

/** zstd level for "store as it is". */
const levelOff = 0;

/** Holds the longest chunk, sealed or as a frame. Larger blobs, trees of huge folders, get memory of their own. */
const scratchBytes = chunkMaxBytes + 128 * 1024;

/** Memory of this thread that its next user overwrites. Fresh buffers would cost more than what is done in them. */
class Scratch {
  #memory: Buffer | undefined;

  take(sizeBytes: number): Buffer {
    if (sizeBytes > scratchBytes) return alignedBytes(sizeBytes);
    // The system gives pages only as they are touched.
    this.#memory ??= alignedBytes(scratchBytes);
    return this.#memory.subarray(0, sizeBytes);
  }
}

const frames = new Scratch();
const contents = new Scratch();

/**
 * What goes into the seal: zstd, or the content itself where compression is off or the content is empty.
 * The bytes are valid until the next call in this thread.
 */
export function packContent(
  content: Uint8Array,
  level: number,
): { readonly bytes: Uint8Array; readonly plainLengthBytes: number } {
  if (level === levelOff || content.length === 0) return { bytes: content, plainLengthBytes: 0 };
  const target = frames.take(frameMaxBytes(content.length));
  const lengthBytes = zstd().compress(content, target, level);
  return { bytes: target.subarray(0, lengthBytes), plainLengthBytes: content.length };
}

/**
 * The content of a stored blob, valid until the next call in this thread. It begins `pastBlockBytes` after a block
 * boundary of memory, for whoever writes it directly to a disk. Throws if the blob is damaged in any way or is not the
 * one of that id.
 */
export function openBlob(
  keys: KeyTriple,
  stored: Uint8Array,
  expected: { readonly id: BlobId; readonly plainLengthBytes: number; readonly pastBlockBytes?: number },
): Buffer {
  const { id, plainLengthBytes, pastBlockBytes = 0 } = expected;
  if (plainLengthBytes > plainMaxBytes) throw new Error(`blob ${id} says it has ${plainLengthBytes} bytes`);
  const openedBytes = Math.max(0, stored.length - sealOverheadBytes);
  const contentBytes = plainLengthBytes === 0 ? openedBytes : plainLengthBytes;
  const content = contents.take(pastBlockBytes + contentBytes).subarray(pastBlockBytes);
  if (plainLengthBytes === 0) openInto(keys, stored, content);
  else {
    const frame = frames.take(openedBytes);
    openInto(keys, stored, frame);
    const lengthBytes = zstd().decompress(frame, content);
    if (lengthBytes !== plainLengthBytes)
      throw new Error(`blob ${id} has ${lengthBytes} bytes instead of ${plainLengthBytes}`);
  }
  if (hashOf(content) !== id) throw new Error(`the content of blob ${id} does not fit its id`);
  return content;
}

/** How long the content of a stored blob is. */
export function plainBytesOf(blob: { readonly plainLengthBytes: number; readonly lengthBytes: number }): number {
  return blob.plainLengthBytes === 0 ? blob.lengthBytes - sealOverheadBytes : blob.plainLengthBytes;
}
