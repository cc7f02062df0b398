// Worker side of moving blobs between packs or repositories: each is opened and checked against its id before it is
// written again, but what zstd made of it is kept.
import { messageOf } from '../base/errors.ts';
import { openBlob } from './blob-codec.ts';
import { open, sealInto, type KeyTriple } from './seal.ts';
import type { ResealedRun, WorkerTasks } from './worker-protocol.ts';

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function resealBlobs(keys: KeyTriple, task: WorkerTasks['reseal']['task']): ResealedRun {
  // Buffers arrive as plain arrays from another thread.
  const target = task.keys && {
    encrypt: asBuffer(task.keys.encrypt),
    macK: asBuffer(task.keys.macK),
    macR: asBuffer(task.keys.macR),
  };
  const bytes = new Uint8Array(task.blobs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  let usedBytes = 0;
  const problems = task.blobs.map((blob) => {
    const stored = task.bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes);
    try {
      openBlob(keys, stored, blob);
      // The same content under a fresh nonce has the same length; under the same keys the very bytes can move.
      const room = bytes.subarray(usedBytes, usedBytes + stored.length);
      if (target === undefined) room.set(stored);
      else {
        sealInto(target, open(keys, stored), { target: room });
        openBlob(target, room, blob);
      }
      usedBytes += stored.length;
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  });
  return { bytes, problems };
}
