// Intsets: sets that hold nothing but integers.
import { decimal, PackedBytes } from './packed-bytes.ts';
import { rdbDamaged } from './rdb-damage.ts';

export function* intsetElements(bytes: Buffer): Generator<Buffer, void, void> {
  const packed = new PackedBytes(bytes);
  const width = packed.unsigned(4);
  if (width !== 2 && width !== 4 && width !== 8) throw rdbDamaged(`an intset of ${width}-byte integers`);
  const count = packed.unsigned(4);
  if (packed.remaining !== count * width)
    throw rdbDamaged(`an intset of ${count} integers has ${packed.remaining} bytes`);
  while (packed.remaining > 0) yield decimal(width === 8 ? packed.integer64() : packed.integer(width));
}
