// Worker side of reading: opens blobs of a stretch of a pack, checks them, and writes them to files or hands them back.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { blockBytes } from '../base/aligned-memory.ts';
import { fsPath } from '../base/byte-name.ts';
import { errnoOf, messageOf } from '../base/errors.ts';
import { native } from '../base/native.ts';
import { isZero } from '../base/is-zero.ts';
import { makeHole, writePart } from '../base/write-part.ts';
import { openBlob } from './blob-codec.ts';
import type { KeyTriple } from './seal.ts';
import { hashOf } from './ids.ts';
import { fillArea } from './slab-pool.ts';
import type {
  OpenedBlob,
  RestoreBlob,
  RestoreResult,
  RestoreTarget,
  StoredBlob,
  WorkerTasks,
} from './worker-protocol.ts';

function contentOf(keys: KeyTriple, bytes: Uint8Array, { blob, pastBlockBytes }: OpeningOf): Buffer {
  const stored = bytes.subarray(blob.offsetBytes, blob.offsetBytes + blob.lengthBytes);
  return openBlob(keys, stored, { ...blob, pastBlockBytes });
}

interface OpeningOf {
  readonly blob: StoredBlob;
  readonly pastBlockBytes: number;
}

export function openBlobs(keys: KeyTriple, task: WorkerTasks['open']['task']): OpenedBlob[] {
  return task.blobs.map((blob) => {
    try {
      const content = contentOf(keys, task.bytes, { blob, pastBlockBytes: 0 });
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

export function openBlobsInto(keys: KeyTriple, task: WorkerTasks['openInto']['task']): number[] {
  const area = fillArea(task.slab);
  const damaged: number[] = [];
  for (const [number, blob] of task.blobs.entries()) {
    try {
      const content = contentOf(keys, task.bytes, { blob, pastBlockBytes: 0 });
      for (const { atBytes, lengthBytes } of blob.targets) area.set(content.subarray(0, lengthBytes), atBytes);
    } catch {
      damaged.push(number); // Whoever finds no other copy says what is wrong.
    }
  }
  return damaged;
}

/**
 * Aligned stretches of zeros of this length become holes in new files. Shorter ones would tear the files of a database,
 * which has zeros in every page, into thousands of extents.
 */
const holeBytes = 64 * 1024;

/** Stretches of `content` between holes: where they begin and end in it. */
function dataStretches(content: Buffer, positionBytes: number): { readonly from: number; readonly to: number }[] {
  const stretches: { from: number; to: number }[] = [];
  let from = 0;
  const firstBlock = (holeBytes - (positionBytes % holeBytes)) % holeBytes;
  for (let at = firstBlock; at + holeBytes <= content.length; at += holeBytes) {
    if (!isZero(content.subarray(at, at + holeBytes))) continue;
    if (at > from) stretches.push({ from, to: at });
    from = at + holeBytes;
  }
  if (from < content.length || content.length === 0) stretches.push({ from, to: content.length });
  return stretches;
}

/** Either we make the file, or the main thread made it and it must not have become a link since. */
function writeContent(content: Buffer, { path, positionBytes, isFresh, isWhole }: RestoreTarget): void {
  const whole = [{ from: 0, to: content.length }];
  const stretches = isFresh ? dataStretches(content, positionBytes) : whole;
  const hasHoles = stretches.length !== 1 || stretches[0]?.to !== content.length || stretches[0].from !== 0;
  if (isWhole && hasHoles) makeHole(path, content.length);
  const isNew = isWhole && !hasHoles;
  for (const { from, to } of stretches)
    writePart(path, content.subarray(from, to), { positionBytes: positionBytes + from, isNew });
}

function restoreBlob(content: Buffer, blob: RestoreBlob, failed: RestoreResult['failed'][number][]): void {
  for (const target of blob.targets) {
    try {
      writeContent(content, target);
    } catch (error) {
      failed.push({ path: target.path, message: messageOf(error), errno: errnoOf(error) });
    }
  }
}

export function restoreBlobs(keys: KeyTriple, task: WorkerTasks['restore']['task']): RestoreResult {
  const damaged: RestoreResult['damaged'][number][] = [];
  const failed: RestoreResult['failed'][number][] = [];
  for (const blob of task.blobs) {
    let content: Buffer;
    try {
      const pastBlockBytes = (blob.targets[0]?.positionBytes ?? 0) % blockBytes;
      content = contentOf(keys, task.bytes, { blob, pastBlockBytes });
    } catch (error) {
      damaged.push({ id: blob.id, message: messageOf(error) });
      continue;
    }
    restoreBlob(content, blob, failed);
  }
  return { damaged, failed };
}

export function compareChunks(task: WorkerTasks['compare']['task']): WorkerTasks['compare']['result'] {
  let file: number;
  try {
    file = openSync(fsPath(task.path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return { equal: task.chunks.map(() => false), sizeBytes: -1 }; // Whoever writes it will see why.
  }
  try {
    const buffer = Buffer.allocUnsafe(Math.max(0, ...task.chunks.map(({ lengthBytes }) => lengthBytes)));
    const equal = task.chunks.map(({ id, offsetBytes, lengthBytes }) => {
      const bytes = buffer.subarray(0, lengthBytes);
      return readAt(file, bytes, offsetBytes) && hashOf(bytes) === id;
    });
    return { equal, sizeBytes: fstatSync(file).size };
  } finally {
    closeSync(file);
  }
}

/** False if the file ends before, or can't be read there: then it is not what it should be. */
function readAt(file: number, bytes: Buffer, offsetBytes: number): boolean {
  try {
    let done = 0;
    for (let count = -1; count !== 0 && done < bytes.length; done += count)
      count = readSync(file, bytes, done, bytes.length - done, offsetBytes + done);
    return done === bytes.length;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

export function flush({ folder }: WorkerTasks['flush']['task']): undefined {
  const file = openSync(fsPath(folder), constants.O_RDONLY);
  try {
    native()?.syncFileSystem(file);
  } finally {
    closeSync(file);
  }
}
