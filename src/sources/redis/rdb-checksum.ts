// The checksum at the end of an RDB file, while the file streams by. It covers all but itself, which only the end makes known.
import { Crc64 } from './crc64.ts';
import { rdbDamaged } from './rdb-damage.ts';

const checksumBytes = 8;

export class RdbChecksum {
  readonly #crc = new Crc64();
  #tail = Buffer.alloc(0);

  push(bytes: Buffer): void {
    const tailFromNew = Math.min(bytes.length, checksumBytes);
    const keptFromTail = Math.min(this.#tail.length, checksumBytes - tailFromNew);
    this.#crc.update(this.#tail.subarray(0, this.#tail.length - keptFromTail));
    this.#crc.update(bytes.subarray(0, bytes.length - tailFromNew));
    this.#tail = Buffer.concat([
      this.#tail.subarray(this.#tail.length - keptFromTail),
      bytes.subarray(bytes.length - tailFromNew),
    ]);
  }

  /** False if there is none: the server has `rdbchecksum no`. Throws if it does not fit. */
  finish(): boolean {
    const isThere = this.#tail.length === checksumBytes && this.#tail.some((byte) => byte !== 0);
    if (isThere && !this.#crc.digest().equals(this.#tail)) throw rdbDamaged('its checksum is wrong');
    return isThere;
  }
}
