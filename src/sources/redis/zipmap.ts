// Zipmaps: small hashes of Redis before 2.6, still valid in any RDB.
import { PackedBytes } from './packed-bytes.ts';
import { rdbDamaged } from './rdb-damage.ts';

const end = 0xff;
const longLength = 0xfe;

/** Fields and values in turn. */
export function* zipmapElements(bytes: Buffer): Generator<Buffer, void, void> {
  const packed = new PackedBytes(bytes);
  packed.take(1); // The count, not reliable from 254 on.
  for (let first = packed.byte(); first !== end; first = packed.byte()) {
    yield packed.take(length(packed, first));
    const second = packed.byte();
    if (second === end) throw rdbDamaged('a zipmap ends between a field and its value');
    const valueBytes = length(packed, second);
    const free = packed.byte();
    yield packed.take(valueBytes);
    packed.take(free);
  }
  packed.end();
}

function length(packed: PackedBytes, first: number): number {
  return first === longLength ? packed.unsigned(4) : first;
}
