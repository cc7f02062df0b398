// Ziplists: the packed form of small collections before Redis 7.
import { decimal, PackedBytes } from './packed-bytes.ts';
import { rdbDamaged } from './rdb-damage.ts';

const end = 0xff;
const longPrevious = 0xfe;

/** The elements in order; integers as their decimal text. */
export function* ziplistElements(bytes: Buffer): Generator<Buffer, void, void> {
  const packed = new PackedBytes(bytes);
  if (packed.unsigned(4) !== bytes.length) throw rdbDamaged('a ziplist states a wrong size');
  packed.take(4); // Offset of the last entry: only needed to read backwards.
  const count = packed.unsigned(2);
  let seen = 0;
  for (let first = packed.byte(); first !== end; first = packed.byte()) {
    if (first === longPrevious) packed.take(4);
    yield element(packed, packed.byte());
    seen += 1;
  }
  packed.end();
  if (count !== 0xffff && count !== seen) throw rdbDamaged(`a ziplist of ${count} elements holds ${seen}`);
}

function element(packed: PackedBytes, encoding: number): Buffer {
  switch (encoding >> 6) {
    case 0:
      return packed.take(encoding);
    case 1:
      return packed.take(((encoding & 0x3f) << 8) | packed.byte());
    case 2:
      return packed.take(packed.take(4).readUInt32BE(0));
    default:
      return integerElement(packed, encoding);
  }
}

function integerElement(packed: PackedBytes, encoding: number): Buffer {
  switch (encoding) {
    case 0xc0:
      return decimal(packed.integer(2));
    case 0xd0:
      return decimal(packed.integer(4));
    case 0xe0:
      return decimal(packed.integer64());
    case 0xf0:
      return decimal(packed.integer(3));
    case 0xfe:
      return decimal(packed.integer(1));
    default:
      if (encoding < 0xf1 || encoding > 0xfd) throw rdbDamaged(`a ziplist holds the unknown encoding ${encoding}`);
      return decimal((encoding & 0x0f) - 1);
  }
}
