// Worker side of moving blobs between packs or repositories: each is opened and checked against its id before it is
// written again. What zstd made of it is kept; trees that were never compressed are compressed now.
import { messageOf } from '../base/errors.ts';
import { openBlob, packContent } from './blob-codec.ts';
import { isRawTree } from './pack-header.ts';
import { asBuffers, open, sealInto, sealOverheadBytes, type KeyTriple } from './seal.ts';
import type { ResealBlob, ResealedBlob, WorkerTasks } from './worker-protocol.ts';

const treeCompressionLevel = 1;

export function resealBlobs(keys: KeyTriple, task: WorkerTasks['reseal']['task']): ResealedBlob[] {
  const target = task.keys && asBuffers(task.keys);
  return task.blobs.map((blob): ResealedBlob => {
    const stored = task.bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes);
    try {
      const { bytes, plainLengthBytes } = resealBlob({ keys, target }, { blob, stored });
      return { outcome: 'sealed', plainLengthBytes, ...(bytes !== stored && { bytes }) };
    } catch (error) {
      return { outcome: 'damaged', message: messageOf(error) };
    }
  });
}

export interface ResealedBytes {
  /** `stored` itself where the length stays. */
  readonly bytes: Uint8Array;
  readonly plainLengthBytes: number;
}

/** Seals in place where the length stays, which is so but for trees that are compressed now. Throws if the blob is damaged. */
export function resealBlob(
  { keys, target }: { readonly keys: KeyTriple; readonly target: KeyTriple | undefined },
  { blob, stored }: { readonly blob: ResealBlob; readonly stored: Uint8Array },
): ResealedBytes {
  const content = openBlob(keys, stored, blob);
  const { id } = blob;
  if (isRawTree(blob)) {
    const { bytes: packed, plainLengthBytes } = packContent(content, treeCompressionLevel);
    const sealed = new Uint8Array(packed.length + sealOverheadBytes);
    sealInto(target ?? keys, packed, { target: sealed });
    openBlob(target ?? keys, sealed, { id, plainLengthBytes });
    return { bytes: sealed, plainLengthBytes };
  }
  // Under the same keys the very bytes can move; under others the same content has the same length.
  if (target !== undefined) {
    sealInto(target, open(keys, stored), { target: stored });
    openBlob(target, stored, blob);
  }
  return { bytes: stored, plainLengthBytes: blob.plainLengthBytes };
}
