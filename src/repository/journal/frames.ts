// The bytes of a journal object: cut into frames of 1 MiB, each compressed and sealed by itself, so that memory stays small
// whatever the size of a segment. Here they are opened, by zlib on threads of its own; seal-frames.ts makes them.
import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { collectGarbage } from '../../base/collect-garbage.ts';
import { freeMemory } from '../../base/free-memory.ts';
import { open, type KeyTriple } from '../seal.ts';

export const frameBytes = 1024 * 1024;
/** Larger segments become several objects: a store takes an object in one piece of memory. */
export const pieceMaxBytes = 16 * frameBytes;
/** Of libuv's four threads; others want some too, and each leaves memory behind that the system gets back late. */
const framesAtOnce = 2;
/** What zlib asks for at least. */
const chunkMinBytes = 64;

const decompress = promisify(zstdDecompress);

/** Opens frames that lie one after another. Throws whatever seal and zstd say of damage. */
export async function openFrames(
  keys: KeyTriple,
  stored: Uint8Array,
  expected: { readonly frames: readonly number[]; readonly lengthBytes: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const { frames, lengthBytes, signal } = expected;
  assert.equal(frames.length, Math.ceil(lengthBytes / frameBytes));
  const content = Buffer.allocUnsafeSlow(lengthBytes);
  const places: { readonly from: number; readonly to: number }[] = [];
  let next = 0;
  for (const length of frames) places.push({ from: next, to: (next += length) });
  await forEachLimited(places.entries(), framesAtOnce, async ([at, { from, to }]) => {
    signal.throwIfAborted();
    const plainBytes = Math.min(frameBytes, lengthBytes - at * frameBytes);
    const plain = await openFrame(keys, stored.subarray(from, to), plainBytes);
    content.set(plain, at * frameBytes);
    freeMemory(plain);
  });
  if (frames.length > 1) collectGarbage();
  return content;
}

async function openFrame(keys: KeyTriple, frame: Uint8Array, plainBytes: number): Promise<Buffer> {
  const packed = open(keys, frame);
  const plain = await decompress(packed, {
    maxOutputLength: plainBytes,
    chunkSize: Math.max(chunkMinBytes, plainBytes),
  });
  freeMemory(packed);
  if (plain.length !== plainBytes) throw new Error(`a frame has ${plain.length} bytes instead of ${plainBytes}`);
  return plain;
}
