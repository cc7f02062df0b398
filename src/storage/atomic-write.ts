// A file that is there whole or not at all, also after a power cut: written beside its final name, synced, renamed, and
// the folder synced. What a crash leaves behind carries `-tmp-` in its name, as restic's own leftovers do.
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { blockBytes, isAligned } from '../base/aligned-memory.ts';
import { AppError, errnoOf } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { throwIfAborted } from './interruption.ts';

export interface AtomicWriteOptions {
  /** Permission bits of the finished file. */
  readonly fileMode: number;
  /** Whether the file must survive a power cut once the call resolves. */
  readonly isDurable: boolean;
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
}

const unfinishedMark = '-tmp-';
/** One `writev` takes no more parts than this on Linux, and the signal is looked at between two. */
const partsPerWriteMax = 1024;
const bytesPerWriteMax = 8 * 1024 * 1024;
const namesTriedMax = 10;
/** Smaller files are cheaper to copy. */
const directMinBytes = 1024 * 1024;

/** Tells whether a base name is that of a file which a crash may have cut short. */
export function isUnfinished(baseName: string): boolean {
  return baseName.includes(unfinishedMark);
}

/** Writes the concatenation of `parts` to `path`, replacing what was there. The folder must exist. */
export async function writeAtomically(
  path: string,
  parts: readonly Uint8Array[],
  options: AtomicWriteOptions,
): Promise<void> {
  const unfinished = await openUnfinished(path, options.random);
  const { handle, path: unfinishedPath } = unfinished;
  let isSynced = false;
  try {
    try {
      await writeParts(unfinished, parts, options.signal);
      await setMode(handle, options.fileMode);
      if (options.isDurable) isSynced = await syncHandle(handle);
    } finally {
      await handle.close();
    }
    throwIfAborted(options.signal);
    await rename(unfinishedPath, path);
  } catch (error) {
    await rm(unfinishedPath, { force: true });
    throw error;
  }
  if (isSynced) await syncFolder(dirname(path));
}

/** Makes renames and new names in a folder durable; file systems that can't are tolerated. */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await syncHandle(handle);
}

interface UnfinishedFile {
  readonly handle: FileHandle;
  readonly path: string;
}

async function openUnfinished(path: string, random: Random): Promise<UnfinishedFile> {
  for (let attempt = 1; ; attempt += 1) {
    const unfinishedPath = `${path}${unfinishedMark}${Math.floor(random() * 2 ** 32)}`;
    try {
      return { handle: await open(unfinishedPath, 'wx', 0o600), path: unfinishedPath };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || attempt === namesTriedMax) throw error;
    }
  }
}

async function writeParts(
  { handle, path }: UnfinishedFile,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
  let writtenBytes = await writeDirectly(path, parts[0], signal);
  let rest = withoutFirst(parts, writtenBytes);
  while (writtenBytes < sizeBytes) {
    throwIfAborted(signal);
    const { bytesWritten } = await handle.writev(firstParts(rest), writtenBytes);
    if (bytesWritten === 0) throw shortFile(writtenBytes, sizeBytes);
    writtenBytes += bytesWritten;
    rest = withoutFirst(rest, bytesWritten);
  }
  const { size } = await handle.stat();
  if (size !== sizeBytes) throw shortFile(size, sizeBytes);
}

/**
 * The whole blocks of a large part in aligned memory go past the page cache: nobody reads them again soon, and they are
 * to be on the disk before we go on anyway. Returns how many bytes that were; 0 where it can't be done.
 */
async function writeDirectly(
  path: string,
  part: Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (part === undefined || part.length < directMinBytes || !isAligned(part)) return 0;
  const endBytes = part.length - (part.length % blockBytes);
  let writtenBytes = 0;
  try {
    await using handle = await open(path, constants.O_WRONLY | constants.O_DIRECT);
    while (writtenBytes < endBytes && writtenBytes % blockBytes === 0) {
      throwIfAborted(signal);
      const lengthBytes = Math.min(endBytes - writtenBytes, bytesPerWriteMax);
      const { bytesWritten } = await handle.write(part, writtenBytes, lengthBytes, writtenBytes);
      writtenBytes += bytesWritten;
    }
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error; // What a file system says that can't.
  }
  return writtenBytes;
}

function shortFile(foundBytes: number, wantedBytes: number): AppError {
  return new AppError('STORE_FAILED', `the file system took ${foundBytes} of ${wantedBytes} bytes without an error`, {
    hint: 'Look at the kernel log for disk errors, and check the file system.',
  });
}

/** As many of the parts as one call may take. */
function firstParts(parts: readonly Uint8Array[]): Uint8Array[] {
  const batch: Uint8Array[] = [];
  let sizeBytes = 0;
  for (const part of parts) {
    if (batch.length === partsPerWriteMax || sizeBytes >= bytesPerWriteMax) break;
    batch.push(part.subarray(0, bytesPerWriteMax - sizeBytes));
    sizeBytes += part.length;
  }
  return batch;
}

function withoutFirst(parts: readonly Uint8Array[], countBytes: number): Uint8Array[] {
  let skipBytes = countBytes;
  let index = 0;
  for (let part = parts[0]; part !== undefined && part.length <= skipBytes; part = parts[index]) {
    skipBytes -= part.length;
    index += 1;
  }
  const rest = parts.slice(index);
  if (rest[0] !== undefined && skipBytes > 0) rest[0] = rest[0].subarray(skipBytes);
  return rest;
}

/** Some network and FAT file systems keep no permission bits; the file is as good without. */
async function setMode(handle: FileHandle, mode: number): Promise<void> {
  try {
    await handle.chmod(mode);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** Returns false where the file system has no such call; every other failure means that the bytes may be lost. */
async function syncHandle(handle: FileHandle): Promise<boolean> {
  try {
    await handle.sync();
    return true;
  } catch (error) {
    if (['ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
