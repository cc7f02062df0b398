// The bytes of a journal object: cut into frames of 1 MiB, each compressed and sealed by itself, so that memory stays small
// whatever the size of a segment. zlib works on threads of its own. What was sealed is opened and compared before it is
// trusted, all of it: once a server was told that a change is safe, nobody can ask it for that change again.
import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { frameMaxBytes, zstdParameters } from '../../base/zstd.ts';
import { collectGarbage } from '../../base/collect-garbage.ts';
import { open, seal, type KeyTriple } from '../seal.ts';

export const frameBytes = 1024 * 1024;
/** Of libuv's four threads; others want some too, and each leaves memory behind that the system gets back late. */
const framesAtOnce = 2;
const freedMinBytes = 512 * 1024;
/** What zlib asks for at least. */
const chunkMinBytes = 64;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export interface SealFramesOptions {
  readonly keys: KeyTriple;
  /** zstd; at least 1. */
  readonly level: number;
  readonly signal: AbortSignal;
}

/** The caller leaves `content` unchanged until it resolves. */
export async function sealFrames(content: Uint8Array, options: SealFramesOptions): Promise<Buffer[]> {
  const { keys, level, signal } = options;
  const count = Math.ceil(content.length / frameBytes);
  const sealed: Buffer[] = Array.from({ length: count });
  await forEachLimited(sealed.keys(), framesAtOnce, async (at) => {
    signal.throwIfAborted();
    const plain = content.subarray(at * frameBytes, (at + 1) * frameBytes);
    const packed = await compress(plain, { params: zstdParameters(level), chunkSize: frameMaxBytes(plain.length) });
    const frame = seal(keys, packed);
    const again = await openFrame(keys, frame, plain.length);
    if (!again.equals(plain)) throw new Error('sealing a frame did not round-trip');
    free(packed);
    free(again);
    sealed[at] = frame;
  });
  if (count > 1) collectGarbage();
  return sealed;
}

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
    free(plain);
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
  free(packed);
  if (plain.length !== plainBytes) throw new Error(`a frame has ${plain.length} bytes instead of ${plainBytes}`);
  return plain;
}

/**
 * Gives memory back at once. Buffers of a megabyte pile up until they are collected. What is read by mistake afterwards is
 * empty, so it can't be taken for data. Small ones may share memory with others.
 */
function free({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= freedMinBytes) buffer.transfer(0);
}
