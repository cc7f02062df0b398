// Hashes of values that do not depend on how Redis encodes them: equal data, equal hash, on any version.
import { createHash, hash, type Hash } from 'node:crypto';

/** Each part is preceded by its length, so that `ab`+`c` and `a`+`bc` differ. */
function writeParts(parts: readonly Buffer[]): Buffer {
  let sizeBytes = 0;
  for (const part of parts) sizeBytes += 4 + part.length;
  const out = Buffer.allocUnsafe(sizeBytes);
  let at = 0;
  for (const part of parts) {
    at = out.writeUInt32LE(part.length % 2 ** 32, at);
    at += part.copy(out, at);
  }
  return out;
}

export function hashParts(parts: readonly Buffer[]): Buffer {
  return hash('sha256', writeParts(parts), 'buffer');
}

const scratchBytes = 64 * 1024;

/** For what has an order: lists, streams, strings that come in pieces. */
export class OrderedHash {
  readonly #hash: Hash = createHash('sha256');
  #parts: Buffer[] = [];
  #pendingBytes = 0;

  add(part: Buffer): void {
    this.#parts.push(part);
    this.#pendingBytes += part.length + 4;
    if (this.#pendingBytes > scratchBytes) this.#flush();
  }

  digest(): Buffer {
    this.#flush();
    return this.#hash.digest();
  }

  #flush(): void {
    this.#hash.update(writeParts(this.#parts));
    this.#parts = [];
    this.#pendingBytes = 0;
  }
}

/** A sum of hashes modulo 2^128, for what has no order. A sum, because equal hashes would cancel in an XOR. */
export class HashSum {
  readonly #words = new Uint32Array(4);
  count = 0;

  /** Takes the first 16 bytes of a hash. */
  add(digest: Buffer): void {
    let carry = 0;
    for (let word = 0; word < 4; word += 1) {
      const sum = this.#words[word]! + digest.readUInt32LE(word * 4) + carry;
      this.#words[word] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
    this.count += 1;
  }

  addSum(other: HashSum): void {
    const count = this.count + other.count;
    this.add(other.#bytes());
    this.count = count;
  }

  /** One hash over count and sum. */
  digest(): Buffer {
    const count = Buffer.alloc(8);
    count.writeDoubleLE(this.count);
    return hashParts([count, this.#bytes()]);
  }

  toString(): string {
    const bytes = this.#bytes();
    return ((bytes.readBigUInt64LE(8) << 64n) | bytes.readBigUInt64LE(0)).toString();
  }

  #bytes(): Buffer {
    const bytes = Buffer.alloc(16);
    for (const [index, word] of this.#words.entries()) bytes.writeUInt32LE(word, index * 4);
    return bytes;
  }
}
