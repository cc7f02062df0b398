// Worker side of moving blobs between packs or repositories: each is opened and checked against its id before it is
// written again, but what zstd made of it is kept.
import { messageOf } from '../base/errors.ts';
import { openBlob } from './blob-codec.ts';
import { open, sealInto, type KeyTriple } from './seal.ts';
import type { WorkerTasks } from './worker-protocol.ts';

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function resealBlobs(keys: KeyTriple, task: WorkerTasks['reseal']['task']): WorkerTasks['reseal']['result'] {
  // Buffers arrive as plain arrays from another thread.
  const target = task.keys && {
    encrypt: asBuffer(task.keys.encrypt),
    macK: asBuffer(task.keys.macK),
    macR: asBuffer(task.keys.macR),
  };
  return task.blobs.map((blob) => {
    const stored = task.bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes);
    try {
      openBlob(keys, stored, blob);
      if (target === undefined) return undefined; // Under the same keys the very bytes can move.
      // The same content under a fresh nonce has the same length.
      sealInto(target, open(keys, stored), { target: stored });
      openBlob(target, stored, blob);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  });
}
