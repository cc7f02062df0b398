// Reads the table of contents at a pack's end without reading the pack.
import type { PackId } from './ids.ts';
import { fileName } from './layout.ts';
import { decodeHeader, headerMaxBytes, packSizeOf, type PackEntry } from './pack-header.ts';
import type { Repository } from './repository.ts';
import { open, type KeyTriple } from './seal.ts';

/** Most headers are shorter; a longer one costs a second request. */
const firstReadBytes = 4096;
const lengthFieldBytes = 4;

/** Length of the sealed header; throws if it can't be that of a pack of `packBytes`. */
function headerLength(tail: Buffer, packBytes: number): number {
  if (tail.length < lengthFieldBytes) throw new Error(`a pack of ${packBytes} bytes has no header`);
  const length = tail.readUInt32LE(tail.length - lengthFieldBytes);
  if (length > headerMaxBytes || length + lengthFieldBytes > packBytes)
    throw new Error(`a header of ${length} bytes does not fit a pack of ${packBytes}`);
  return length;
}

/** The entries, from the last bytes of a pack, which hold at least its whole header. */
export function parsePackTail(keys: KeyTriple, tail: Buffer, packBytes: number): PackEntry[] {
  const length = headerLength(tail, packBytes);
  const sealed = tail.subarray(tail.length - lengthFieldBytes - length, tail.length - lengthFieldBytes);
  const entries = decodeHeader(open(keys, sealed));
  if (packSizeOf(entries) !== packBytes)
    throw new Error(`the pack has ${packBytes} bytes, but what its header lists needs ${packSizeOf(entries)}`);
  return entries;
}

/** Rejects with the store's error, or a plain one that says what is wrong with the header. */
export async function readPackHeader(
  { store, keys }: Pick<Repository, 'store' | 'keys'>,
  pack: { readonly id: PackId; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<PackEntry[]> {
  const name = fileName('data', pack.id);
  const read = (wantedBytes: number): Promise<Buffer> => {
    const length = Math.min(wantedBytes, pack.sizeBytes);
    return store.get(name, { offset: pack.sizeBytes - length, length, signal });
  };
  const tail = await read(firstReadBytes);
  const neededBytes = headerLength(tail, pack.sizeBytes) + lengthFieldBytes;
  return parsePackTail(keys, neededBytes > tail.length ? await read(neededBytes) : tail, pack.sizeBytes);
}
