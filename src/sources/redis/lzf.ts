// LibLZF decompression: how Redis packs long strings inside an RDB.
import { rdbDamaged } from './rdb-damage.ts';

/** A back reference of 3 bytes yields at most 264; a stated size beyond that would only make us reserve memory. */
const expansionMax = 264;

/** Unpacks `packed` to exactly `sizeBytes` bytes. */
export function lzfDecompress(packed: Uint8Array, sizeBytes: number): Buffer {
  if (sizeBytes > packed.length * expansionMax) {
    throw rdbDamaged(`${packed.length} compressed bytes can't hold ${sizeBytes}`);
  }
  const out = Buffer.alloc(sizeBytes);
  let [from, to] = [0, 0];
  while (from < packed.length) {
    const control = packed[from]!;
    from += 1;
    if (control < 32) {
      const count = control + 1;
      if (from + count > packed.length || to + count > sizeBytes)
        throw rdbDamaged('a compressed literal leaves its bounds');
      out.set(packed.subarray(from, from + count), to);
      [from, to] = [from + count, to + count];
      continue;
    }
    let count = control >> 5;
    if (count === 7) {
      count += packed[from] ?? 0;
      from += 1;
    }
    count += 2;
    if (from >= packed.length) throw rdbDamaged('compressed data ends inside a reference');
    const start = to - ((control & 31) << 8) - packed[from]! - 1;
    from += 1;
    if (start < 0 || to + count > sizeBytes) throw rdbDamaged('a compressed reference leaves its bounds');
    // Byte by byte: source and target overlap where a pattern repeats.
    for (let index = 0; index < count; index += 1) out[to + index] = out[start + index]!;
    to += count;
  }
  if (to !== sizeBytes) throw rdbDamaged(`compressed data yields ${to} bytes, not ${sizeBytes}`);
  return out;
}
