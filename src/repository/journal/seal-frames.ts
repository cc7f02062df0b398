// Compresses and seals the bytes of a journal object where they lie, frame by frame. Runs on whatever thread calls it; the memory it
// works in is made once per thread. What was sealed is opened and compared before it is trusted, all of it: once a server was told
// that a change is safe, nobody can ask it for that change again.
import { createHash } from 'node:crypto';
import { frameMaxBytes, zstd } from '../../base/zstd.ts';
import { openInto, sealInto, sealOverheadBytes, type KeyTriple } from '../seal.ts';
import { fillArea, slabMarginBytes } from '../slab-pool.ts';
import type { SealedFrames, SealFramesTask } from '../worker-protocol.ts';
import { frameBytes } from './frames.ts';

interface Scratch {
  readonly plain: Buffer;
  readonly packed: Buffer;
  readonly opened: Buffer;
  readonly again: Buffer;
}

let scratchMade: Scratch | undefined;

function scratch(): Scratch {
  scratchMade ??= {
    plain: Buffer.allocUnsafeSlow(frameBytes),
    packed: Buffer.allocUnsafeSlow(frameMaxBytes(frameBytes)),
    opened: Buffer.allocUnsafeSlow(frameMaxBytes(frameBytes)),
    again: Buffer.allocUnsafeSlow(frameBytes),
  };
  return scratchMade;
}

/** Throws if what was sealed is not what it was made of. */
export function sealFrames({ slab, lengthBytes, keys, level }: SealFramesTask): SealedFrames {
  const memory = new Uint8Array(slab);
  const filled = fillArea(slab);
  const digest = createHash('sha256');
  const lengthsBytes: number[] = [];
  let end = 0;
  for (let from = 0; from < lengthBytes; from += frameBytes) {
    const to = Math.min(from + frameBytes, lengthBytes);
    const plain = scratch().plain.subarray(0, to - from);
    plain.set(filled.subarray(from, to));
    const packedBytes = zstd().compress(plain, scratch().packed, level);
    const target = memory.subarray(end, end + packedBytes + sealOverheadBytes);
    // What is still to be read lies behind the margin, which outweighs what can't be compressed.
    if (end + target.length > slabMarginBytes + to) throw new Error('sealed frames overtake their sources');
    sealInto(keys, scratch().packed.subarray(0, packedBytes), { target });
    digest.update(contentAgain(keys, target, plain));
    lengthsBytes.push(target.length);
    end += target.length;
  }
  return { lengthsBytes, sha256: digest.digest('hex') };
}

function contentAgain(keys: KeyTriple, sealed: Uint8Array, plain: Buffer): Buffer {
  const opened = scratch().opened.subarray(0, sealed.length - sealOverheadBytes);
  openInto(keys, sealed, opened);
  const again = scratch().again.subarray(0, plain.length);
  const isSame = zstd().decompress(opened, again) === plain.length && again.equals(plain);
  if (!isSame) throw new Error('sealing a frame did not round-trip');
  return again;
}
