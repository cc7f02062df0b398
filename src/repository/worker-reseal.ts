// Worker side of moving blobs between packs or repositories: each is opened and checked against its id before it is
// written again. What zstd made of it is kept; trees that were never compressed are compressed now.
import { messageOf } from '../base/errors.ts';
import { frameMaxBytes } from '../base/zstd.ts';
import { openBlob, packContent } from './blob-codec.ts';
import { isRawTree } from './pack-header.ts';
import { open, sealInto, sealOverheadBytes, type KeyTriple } from './seal.ts';
import type { ResealBlob, ResealedBlob, ResealedRun, WorkerTasks } from './worker-protocol.ts';

const treeCompressionLevel = 1;

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function resealBlobs(keys: KeyTriple, task: WorkerTasks['reseal']['task']): ResealedRun {
  // Buffers arrive as plain arrays from another thread.
  const target = task.keys && {
    encrypt: asBuffer(task.keys.encrypt),
    macK: asBuffer(task.keys.macK),
    macR: asBuffer(task.keys.macR),
  };
  const bytes = new Uint8Array(task.blobs.reduce((sum, blob) => sum + roomFor(blob), 0));
  let usedBytes = 0;
  const blobs = task.blobs.map((blob): ResealedBlob => {
    const stored = task.bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes);
    try {
      const sealed = resealBlob({ keys, target }, { blob, stored }, bytes.subarray(usedBytes));
      usedBytes += sealed.lengthBytes;
      return { outcome: 'sealed', ...sealed };
    } catch (error) {
      return { outcome: 'damaged', message: messageOf(error) };
    }
  });
  return { bytes, blobs };
}

interface Resealed {
  readonly lengthBytes: number;
  readonly plainLengthBytes: number;
}

/** Writes the sealed blob to the beginning of `room`. Throws if it is damaged. */
export function resealBlob(
  { keys, target }: { readonly keys: KeyTriple; readonly target: KeyTriple | undefined },
  { blob, stored }: { readonly blob: ResealBlob; readonly stored: Uint8Array },
  room: Uint8Array,
): Resealed {
  const content = openBlob(keys, stored, blob);
  const isCompressedNow = isRawTree(blob);
  if (target === undefined && !isCompressedNow) {
    // Under the same keys the very bytes can move.
    room.set(stored);
    return { lengthBytes: stored.length, plainLengthBytes: blob.plainLengthBytes };
  }
  const { bytes, plainLengthBytes } = isCompressedNow
    ? packContent(content, treeCompressionLevel)
    : { bytes: open(keys, stored), plainLengthBytes: blob.plainLengthBytes };
  const sealed = room.subarray(0, bytes.length + sealOverheadBytes);
  sealInto(target ?? keys, bytes, { target: sealed });
  openBlob(target ?? keys, sealed, { id: blob.id, plainLengthBytes });
  return { lengthBytes: sealed.length, plainLengthBytes };
}

/** What a blob may need when it is sealed again. */
export function roomFor(blob: ResealBlob): number {
  return isRawTree(blob) ? frameMaxBytes(blob.lengthBytes) + sealOverheadBytes : blob.lengthBytes;
}
