// A gear hash: one shift, one table look-up and one addition a byte. The table derives from a secret of the repository.
// With a hash of 32 bits that moves left by one, the topmost bit depends on the last 32 bytes.
import { createCipheriv } from 'node:crypto';
import { chunkMaxBytes, chunkMinBytes, type Chunker } from './chunker.ts';

const windowBytes = 32;
/** A cut where these high bits are all zero: every 128 KiB on average after the minimum, before which no byte is looked at. */
const cutMask = 0xffff_8000 | 0;

function makeTable(secret: Uint8Array): Int32Array {
  const stream = createCipheriv('aes-256-ctr', secret, Buffer.alloc(16)).update(Buffer.alloc(1024));
  return Int32Array.from({ length: 256 }, (_, byte) => stream.readInt32LE(byte * 4));
}

export function gearChunker(secret: Uint8Array): Chunker {
  const table = makeTable(secret);
  return {
    nextCut(bytes, from, to) {
      if (to - from < chunkMinBytes) return 0;
      const end = Math.min(to, from + chunkMaxBytes);
      let hash = 0;
      let at = from + chunkMinBytes - windowBytes;
      for (const start = from + chunkMinBytes; at < start; at += 1)
        hash = ((hash << 1) + (table[bytes[at] as number] as number)) | 0;
      while ((hash & cutMask) !== 0) {
        if (at === end) return end === from + chunkMaxBytes ? end : 0;
        hash = ((hash << 1) + (table[bytes[at] as number] as number)) | 0;
        at += 1;
      }
      return at;
    },
  };
}
