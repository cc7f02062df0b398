// The bytes of a journal object: cut into frames of 1 MiB, each compressed and sealed by itself, so that memory stays small
// whatever the size of a segment. Here they are opened; seal-frames.ts makes them.
import assert from 'node:assert/strict';
import { setImmediate as othersRan } from 'node:timers/promises';
import { frameMaxBytes, zstd } from '../../base/zstd.ts';
import { openInto, sealOverheadBytes, SealBroken, type KeyTriple } from '../seal.ts';

export const frameBytes = 1024 * 1024;
/** Larger segments become several objects: a store takes an object in one piece of memory. */
export const objectMaxBytes = 16 * frameBytes;

/** What one frame is decrypted into; made once a thread. */
let packedMade: Buffer | undefined;

/** Opens frames that lie one after another. Throws whatever seal and zstd say of damage. */
export async function openFrames(
  keys: KeyTriple,
  stored: Uint8Array,
  expected: { readonly frames: readonly number[]; readonly lengthBytes: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const { frames, lengthBytes, signal } = expected;
  assert.equal(frames.length, Math.ceil(lengthBytes / frameBytes));
  const content = Buffer.allocUnsafeSlow(lengthBytes);
  let from = 0;
  for (const [number, length] of frames.entries()) {
    if (number > 0) await othersRan();
    signal.throwIfAborted();
    const at = number * frameBytes;
    openFrame(keys, stored.subarray(from, from + length), content.subarray(at, at + frameBytes));
    from += length;
  }
  return content;
}

/** Fills all of `plain`. */
function openFrame(keys: KeyTriple, frame: Uint8Array, plain: Uint8Array): void {
  packedMade ??= Buffer.allocUnsafeSlow(frameMaxBytes(frameBytes));
  const packedBytes = Math.max(0, frame.length - sealOverheadBytes);
  if (packedBytes > packedMade.length) throw new SealBroken(`${frame.length} bytes are more than a frame can have`);
  const packed = packedMade.subarray(0, packedBytes);
  openInto(keys, frame, packed);
  const plainBytes = zstd().decompress(packed, plain);
  if (plainBytes !== plain.length) throw new Error(`a frame has ${plainBytes} bytes instead of ${plain.length}`);
}
