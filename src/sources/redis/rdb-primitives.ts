// The two building bricks of an RDB file: lengths and strings, in all their encodings.
import { lzfDecompress } from './lzf.ts';
import { decimal } from './packed-bytes.ts';
import { rdbDamaged } from './rdb-damage.ts';
import type { Parsing, RdbInput } from './rdb-input.ts';

/** `special`: what follows is not that long but encoded that way. */
export interface RdbLength {
  readonly value: bigint | number;
  readonly isSpecial: boolean;
}

export function* rdbLength(input: RdbInput): Parsing<RdbLength> {
  const first = yield* input.byte();
  switch (first >> 6) {
    case 0:
      return { value: first & 0x3f, isSpecial: false };
    case 1:
      return { value: ((first & 0x3f) << 8) | (yield* input.byte()), isSpecial: false };
    case 2:
      if (first === 0x80) return { value: (yield* input.take(4)).readUInt32BE(0), isSpecial: false };
      if (first === 0x81) return { value: (yield* input.take(8)).readBigUInt64BE(0), isSpecial: false };
      throw rdbDamaged(`a length begins with the unknown byte ${first}`);
    default:
      return { value: first & 0x3f, isSpecial: true };
  }
}

/** A length that counts things that must be in the file. */
export function* rdbCount(input: RdbInput): Parsing<number> {
  const { value, isSpecial } = yield* rdbLength(input);
  if (isSpecial) throw rdbDamaged('an encoding stands where a count must be');
  const count = Number(value);
  if (!Number.isSafeInteger(count)) throw rdbDamaged(`a count of ${value} is beyond any file`);
  return count;
}

/** A 64-bit number kept in the form of a length: stream ids. */
export function* rdbNumber(input: RdbInput): Parsing<bigint> {
  const { value, isSpecial } = yield* rdbLength(input);
  if (isSpecial) throw rdbDamaged('an encoding stands where a number must be');
  return BigInt(value);
}

export function* rdbString(input: RdbInput): Parsing<Buffer> {
  const { value, isSpecial } = yield* rdbLength(input);
  return isSpecial ? yield* encodedString(input, Number(value)) : yield* input.take(stringBytes(value));
}

/** Bounds what one string may make us hold; Redis's own limit is 512 MiB unless raised. */
const stringBytesMax = 4 * 2 ** 30;

export function stringBytes(value: bigint | number): number {
  const length = Number(value);
  if (length > stringBytesMax) throw rdbDamaged(`a string of ${value} bytes`);
  return length;
}

export function* encodedString(input: RdbInput, encoding: number): Parsing<Buffer> {
  switch (encoding) {
    case 0:
      return decimal((yield* input.take(1)).readInt8(0));
    case 1:
      return decimal((yield* input.take(2)).readInt16LE(0));
    case 2:
      return decimal((yield* input.take(4)).readInt32LE(0));
    case 3: {
      const packedBytes = stringBytes(yield* rdbCount(input));
      const sizeBytes = stringBytes(yield* rdbCount(input));
      return lzfDecompress(yield* input.take(packedBytes), sizeBytes);
    }
    default:
      throw rdbDamaged(`a string has the unknown encoding ${encoding}`);
  }
}
