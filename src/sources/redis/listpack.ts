// Listpacks: the packed form of small collections since Redis 7, and of streams always.
import { decimal, PackedBytes } from './packed-bytes.ts';
import { rdbDamaged } from './rdb-damage.ts';

const end = 0xff;

/** The elements in order; integers as their decimal text. */
export function* listpackElements(bytes: Buffer): Generator<Buffer, void, void> {
  const packed = new PackedBytes(bytes);
  if (packed.unsigned(4) !== bytes.length) throw rdbDamaged('a listpack states a wrong size');
  const count = packed.unsigned(2);
  let seen = 0;
  for (let first = packed.byte(); first !== end; first = packed.byte()) {
    const before = packed.remaining;
    yield element(packed, first);
    // Each entry ends with its own length, for reading backwards; we only need to step over it.
    packed.take(backLengthBytes(before - packed.remaining + 1));
    seen += 1;
  }
  packed.end();
  if (count !== 0xffff && count !== seen) throw rdbDamaged(`a listpack of ${count} elements holds ${seen}`);
}

function element(packed: PackedBytes, first: number): Buffer {
  if (first < 0x80) return decimal(first);
  if (first < 0xc0) return packed.take(first & 0x3f);
  if (first < 0xe0) {
    const value = ((first & 0x1f) << 8) | packed.byte();
    return decimal(value >= 4096 ? value - 8192 : value);
  }
  if (first < 0xf0) return packed.take(((first & 0x0f) << 8) | packed.byte());
  switch (first) {
    case 0xf0:
      return packed.take(packed.unsigned(4));
    case 0xf1:
      return decimal(packed.integer(2));
    case 0xf2:
      return decimal(packed.integer(3));
    case 0xf3:
      return decimal(packed.integer(4));
    case 0xf4:
      return decimal(packed.integer64());
    default:
      throw rdbDamaged(`a listpack holds the unknown encoding ${first}`);
  }
}

function backLengthBytes(entryBytes: number): number {
  if (entryBytes < 128) return 1;
  if (entryBytes < 16_384) return 2;
  if (entryBytes < 2_097_152) return 3;
  return entryBytes < 268_435_456 ? 4 : 5;
}
