// A bounds-checked cursor over one packed value (listpack, ziplist, intset, zipmap).
import { rdbDamaged } from './rdb-damage.ts';

export class PackedBytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** A view of the next bytes. */
  take(count: number): Buffer {
    if (count > this.remaining) throw rdbDamaged(`a packed value ends ${count - this.remaining} bytes too early`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** Little-endian, two's complement, 1 to 6 bytes. */
  integer(byteCount: number): number {
    return this.take(byteCount).readIntLE(0, byteCount);
  }

  integer64(): bigint {
    return this.take(8).readBigInt64LE(0);
  }

  unsigned(byteCount: number): number {
    return this.take(byteCount).readUIntLE(0, byteCount);
  }

  /** The value must be used up. */
  end(): void {
    if (this.remaining > 0) throw rdbDamaged(`${this.remaining} bytes follow a packed value`);
  }
}

/** The text that Redis shows for an integer it keeps in binary. */
export function decimal(value: number | bigint): Buffer {
  return Buffer.from(value.toString(), 'latin1');
}
