// Writes a stretch of a file from a worker thread. The whole blocks of a large one go to the disk directly: through the
// page cache each page would be allocated, copied and written back later, which costs several times the processor time
// and pushes out what other programs on this machine keep there.
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { blockBytes, isAligned } from './aligned-memory.ts';
import { fsPath } from './byte-name.ts';
import { errnoOf } from './errors.ts';

/** Below this two system calls more cost more than the copy. */
const directMinBytes = 256 * 1024;

export interface PartPlace {
  readonly positionBytes: number;
  /** The file must not be there yet, and is made; else it must be there. */
  readonly isNew: boolean;
}

/** Never follows a symbolic link. Throws like node:fs. */
export function writePart(path: string, content: Uint8Array, { positionBytes, isNew }: PartPlace): void {
  const making = isNew ? constants.O_CREAT | constants.O_EXCL : 0;
  const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW | making, 0o600);
  try {
    const fromBytes = Math.min(content.length, (blockBytes - (positionBytes % blockBytes)) % blockBytes);
    const wholeBytes = content.length - fromBytes - ((content.length - fromBytes) % blockBytes);
    const blocks = content.subarray(fromBytes, fromBytes + wholeBytes);
    const directBytes = writeDirectly(path, blocks, positionBytes + fromBytes);
    const restFrom = directBytes === 0 ? 0 : fromBytes + directBytes;
    if (directBytes > 0) writeAll(file, content.subarray(0, fromBytes), positionBytes);
    writeAll(file, content.subarray(restFrom), positionBytes + restFrom);
  } finally {
    closeSync(file);
  }
}

/** Makes a new file of zeros that takes no space. Throws like node:fs. */
export function makeHole(path: string, sizeBytes: number): void {
  const file = openSync(fsPath(path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    ftruncateSync(file, sizeBytes);
  } finally {
    closeSync(file);
  }
}

/** How many bytes were written; 0 where the file system, the memory or the size speaks against it. */
function writeDirectly(path: string, blocks: Uint8Array, positionBytes: number): number {
  if (blocks.length < directMinBytes || !isAligned(blocks)) return 0;
  let done = 0;
  let file: number | undefined;
  try {
    file = openSync(fsPath(path), constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_DIRECT);
    while (done < blocks.length && done % blockBytes === 0)
      done += writeSync(file, blocks, done, blocks.length - done, positionBytes + done);
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error; // What a file system says that can't.
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return done;
}

function writeAll(file: number, bytes: Uint8Array, positionBytes: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(file, bytes, done, bytes.length - done, positionBytes + done);
}
