// Worker side of a backup: reading, cutting, hashing, compressing, sealing. Synchronous on purpose: a worker has one task
// at a time, and synchronous calls cost a tenth of asynchronous ones for small files.
import { randomInt } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fsPath } from '../base/byte-name.ts';
import { messageOf } from '../base/errors.ts';
import { isZero } from '../base/is-zero.ts';
import { native } from '../base/native.ts';
import { openBlob, packContent } from './blob-codec.ts';
import { chunkMaxBytes, type Chunker } from './chunker.ts';
import { hashOf, type BlobId } from './ids.ts';
import { sealInto, sealOverheadBytes, type KeyTriple } from './seal.ts';
import { fillArea, slabMarginBytes } from './slab-pool.ts';
import type { Chunk, ScanFile, ScannedFile, ScannedPart, WorkerTasks } from './worker-protocol.ts';

/** Non-blocking, so that a file which became a pipe does not hang us; never through a link that took the file's place. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Reads until `length` bytes are there or the file ends; returns how many came. */
function readFully(
  file: number,
  target: Uint8Array,
  at: { readonly offset: number; readonly position: number },
): number {
  let done = 0;
  while (at.offset + done < target.length) {
    const count = readSync(file, target, at.offset + done, target.length - at.offset - done, at.position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function chunkOf(slab: Uint8Array, offsetBytes: number, lengthBytes: number): Chunk {
  return { id: hashOf(slab.subarray(offsetBytes, offsetBytes + lengthBytes)) as BlobId, offsetBytes, lengthBytes };
}

function withFile<Result>(
  path: string,
  work: (file: number) => Result,
): Result | { outcome: 'failed'; message: string } {
  let file: number;
  try {
    file = openSync(fsPath(path), openFlags);
  } catch (error) {
    return { outcome: 'failed', message: messageOf(error) };
  }
  try {
    if (!fstatSync(file).isFile()) return { outcome: 'failed', message: 'it is no longer a regular file' };
    return work(file);
  } catch (error) {
    return { outcome: 'failed', message: messageOf(error) };
  } finally {
    closeSync(file);
  }
}

export function scanFiles(task: WorkerTasks['scanFiles']['task']): ScannedFile[] {
  const slab = fillArea(task.slab);
  let used = 0;
  return task.files.map((file: ScanFile) =>
    withFile<ScannedFile>(file.path, (handle) => {
      // One byte more than expected, so that growth shows.
      const room = slab.subarray(0, Math.min(slab.length, used + file.sizeBytes + 1));
      const count = readFully(handle, room, { offset: used, position: 0 });
      if (count > file.sizeBytes || used + count === slab.length) return { outcome: 'grown' };
      const chunk = chunkOf(slab, used, count);
      used += count;
      const isChanged = count !== file.sizeBytes || fstatSync(handle, { bigint: true }).mtimeNs !== file.mtimeNs;
      return { outcome: 'read', chunk, isChanged };
    }),
  );
}

/** The first chunk of zeros without end, by chunker: holes are long, and every cut in one is the same. */
const zeroChunks = new WeakMap<Chunker, Omit<Chunk, 'offsetBytes'>>();

interface Stretch {
  readonly length: number;
  readonly isLast: boolean;
  readonly chunker: Chunker;
}

function firstChunk(slab: Buffer, from: number, { length, isLast, chunker }: Stretch): Chunk | undefined {
  const known = zeroChunks.get(chunker);
  // A cut depends on what lies before it only.
  const holeEnd = from + (known?.lengthBytes ?? chunkMaxBytes);
  const isHole = holeEnd <= length && isZero(slab.subarray(from, holeEnd));
  if (isHole && known !== undefined) return { ...known, offsetBytes: from };
  const end = chunker.nextCut(slab, from, length) || (isLast ? length : 0);
  if (end === 0) return undefined;
  const chunk = chunkOf(slab, from, end - from);
  if (isHole) zeroChunks.set(chunker, { id: chunk.id, lengthBytes: chunk.lengthBytes });
  return chunk;
}

/** Cuts the first `length` bytes; what follows the last cut is left over unless `isLast`. */
function cut(slab: Uint8Array, stretch: Stretch): Chunk[] {
  const bytes = Buffer.from(slab.buffer, slab.byteOffset, slab.length);
  const chunks: Chunk[] = [];
  for (let from = 0; from < stretch.length;) {
    const chunk = firstChunk(bytes, from, stretch);
    if (chunk === undefined) break;
    chunks.push(chunk);
    from += chunk.lengthBytes;
  }
  return chunks;
}

export function scanBytes(task: WorkerTasks['scanBytes']['task'], chunker: Chunker): Chunk[] {
  return cut(fillArea(task.slab), { length: task.lengthBytes, isLast: task.isLast, chunker });
}

export function hashPieces(task: WorkerTasks['hash']['task']): Chunk[] {
  const area = fillArea(task.slab);
  return task.pieces.map(({ offsetBytes, lengthBytes }) => chunkOf(area, offsetBytes, lengthBytes));
}

/** As `readFully` from a place in a file, but holes are not read: the system would make pages of zeros only to copy them. */
function readPart(file: number, slab: Uint8Array, offsetBytes: number): number {
  const { size, blocks } = fstatSync(file);
  const calls = blocks * 512 < size ? native() : undefined;
  if (calls === undefined) return readFully(file, slab, { offset: 0, position: offsetBytes });
  const data = calls.nextData(file, offsetBytes) ?? Math.max(size, offsetBytes);
  const zeroBytes = Math.min(data - offsetBytes, slab.length);
  slab.fill(0, 0, zeroBytes);
  return zeroBytes + readFully(file, slab, { offset: zeroBytes, position: offsetBytes + zeroBytes });
}

export function scanPart(task: WorkerTasks['scanPart']['task'], chunker: Chunker): ScannedPart {
  const slab = fillArea(task.slab);
  return withFile<ScannedPart>(task.path, (file) => {
    const count = readPart(file, slab, task.offsetBytes);
    const isEnd = count < slab.length;
    const chunks = cut(slab, { length: count, isLast: isEnd, chunker });
    const consumedBytes = chunks.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const { mtimeNs } = fstatSync(file, { bigint: true });
    return { outcome: 'read', chunks, consumedBytes, isEnd, sizeBytes: task.offsetBytes + consumedBytes, mtimeNs };
  });
}

/** One data blob in so many is opened again and hashed before it is stored; trees all are. */
const dataCheckInterval = 16;

export function sealBlobs(keys: KeyTriple, task: WorkerTasks['seal']['task']): WorkerTasks['seal']['result'] {
  const memory = new Uint8Array(task.slab);
  const filled = fillArea(task.slab);
  const lengthsBytes: number[] = [];
  const plainLengthsBytes: number[] = [];
  const first = randomInt(dataCheckInterval);
  let at = 0;
  for (const [number, { id, offsetBytes, lengthBytes }] of task.blobs.entries()) {
    const packed = packContent(filled.subarray(offsetBytes, offsetBytes + lengthBytes), task.level);
    const end = at + packed.bytes.length + sealOverheadBytes;
    // The sealed blobs grow towards the sources; the margin between them outweighs what can't be compressed.
    if (end > slabMarginBytes + offsetBytes + lengthBytes) throw new Error('sealed blobs overtake their sources');
    const target = memory.subarray(at, end);
    sealInto(keys, packed.bytes, { target });
    // Memory and compressors have been wrong before: read back what will be stored.
    const isChecked = task.type === 'tree' || (number + first) % dataCheckInterval === 0;
    if (isChecked) openBlob(keys, target, { id, plainLengthBytes: packed.plainLengthBytes });
    lengthsBytes.push(target.length);
    plainLengthsBytes.push(packed.plainLengthBytes);
    at = end;
  }
  return { lengthsBytes, plainLengthsBytes };
}
