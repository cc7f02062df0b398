// Reads a file, or a range of it, into one buffer.
import { open, type FileHandle } from 'node:fs/promises';
import { throwIfAborted } from './interruption.ts';

export interface ReadRange {
  readonly offset: number;
  /** To the end if absent. */
  readonly length?: number | undefined;
  /** Used instead of fresh memory if it is large enough. */
  readonly into?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One read asks for no more than this, and the signal is looked at between two. */
const bytesPerReadMax = 8 * 1024 * 1024;

/** A range beyond the end gives fewer bytes. */
export async function readRange(path: string, range: ReadRange): Promise<Buffer> {
  await using handle = await open(path, 'r');
  const restBytes = Math.max(0, (await handle.stat()).size - range.offset);
  const sizeBytes = Math.min(range.length ?? restBytes, restBytes);
  const bytes = memoryFor(sizeBytes, range.into);
  const countBytes = await fill(handle, bytes, range);
  return bytes.subarray(0, countBytes);
}

function memoryFor(sizeBytes: number, given: Uint8Array | undefined): Buffer {
  if (given === undefined || given.length < sizeBytes) return Buffer.allocUnsafe(sizeBytes);
  return Buffer.from(given.buffer, given.byteOffset, sizeBytes);
}

async function fill(handle: FileHandle, bytes: Buffer, { offset, signal }: ReadRange): Promise<number> {
  let filledBytes = 0;
  while (filledBytes < bytes.length) {
    throwIfAborted(signal);
    const wantedBytes = Math.min(bytes.length - filledBytes, bytesPerReadMax);
    const { bytesRead } = await handle.read(bytes, filledBytes, wantedBytes, offset + filledBytes);
    if (bytesRead === 0) break;
    filledBytes += bytesRead;
  }
  return filledBytes;
}
