// Worker side of reading: opens blobs of a stretch of a pack, checks them, and writes them to files or hands them back.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fsPath } from '../base/byte-name.ts';
import { errnoOf, messageOf } from '../base/errors.ts';
import { openBlob } from './blob-codec.ts';
import type { KeyTriple } from './seal.ts';
import type { OpenedBlob, RestoreBlob, RestoreResult, StoredBlob, WorkerTasks } from './worker-protocol.ts';

function contentOf(keys: KeyTriple, bytes: Uint8Array, blob: StoredBlob): Buffer {
  return openBlob(keys, bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes), blob);
}

export function openBlobs(keys: KeyTriple, task: WorkerTasks['open']['task']): OpenedBlob[] {
  return task.blobs.map((blob) => {
    try {
      const content = contentOf(keys, task.bytes, blob);
      return {
        outcome: 'opened',
        content: task.wantsContent ? new Uint8Array(content) : undefined,
        plainLengthBytes: content.length,
      };
    } catch (error) {
      return { outcome: 'damaged', message: messageOf(error) };
    }
  });
}

function writeContent(path: string, content: Buffer, positionBytes: number): void {
  // The main thread made the file; it must still be a plain file and not a link that took its place.
  const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    for (let done = 0; done < content.length;)
      done += writeSync(file, content, done, content.length - done, positionBytes + done);
  } finally {
    closeSync(file);
  }
}

const isAllZero = (content: Buffer): boolean =>
  content.length > 0 && content[0] === 0 && content.subarray(1).equals(content.subarray(0, -1));

function restoreBlob(
  content: Buffer,
  blob: RestoreBlob,
  options: { root: string; failed: RestoreResult['failed'][number][] },
): void {
  const isZero = isAllZero(content);
  for (const { path, positionBytes, isFresh } of blob.targets) {
    if (isZero && isFresh) continue;
    try {
      writeContent(join(options.root, path), content, positionBytes);
    } catch (error) {
      options.failed.push({ path, message: messageOf(error), code: errnoOf(error) ?? '' });
    }
  }
}

export function restoreBlobs(keys: KeyTriple, task: WorkerTasks['restore']['task']): RestoreResult {
  const damaged: RestoreResult['damaged'][number][] = [];
  const failed: RestoreResult['failed'][number][] = [];
  for (const blob of task.blobs) {
    let content: Buffer;
    try {
      content = contentOf(keys, task.bytes, blob);
    } catch (error) {
      damaged.push({ id: blob.id, message: messageOf(error) });
      continue;
    }
    restoreBlob(content, blob, { root: task.root, failed });
  }
  return { damaged, failed };
}
