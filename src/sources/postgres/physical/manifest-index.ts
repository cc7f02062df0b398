// Sizes and checksums by path, for comparing what was received with the manifest, which comes last, and for asking what a parent
// backup had. A million files take 64 MB: names are kept as hashes only, everything else as bytes in fixed blocks.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { nameToBytes } from '../../../base/byte-name.ts';

export interface IndexedFile {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal, at most 32 bytes of it; undefined where none was given. */
  readonly checksum: string | undefined;
}

/** 12 bytes of the path's hash, 1 for the checksum's length, 6 for the size, 32 for the checksum, 1 to spare. */
const keyBytes = 12;
const recordBytes = 52;
const sizeAt = 13;
const checksumAt = 19;
const checksumBytesMax = 32;
const recordsPerBlock = 16_384;

export class ManifestIndex {
  readonly #blocks: Buffer[] = [];
  #slots = new Uint32Array(1024);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** What it holds in memory. */
  get memoryBytes(): number {
    return this.#slots.byteLength + this.#blocks.length * recordsPerBlock * recordBytes;
  }

  /** A path that is there already gets the new values. */
  set(path: string, { sizeBytes, checksum }: IndexedFile): void {
    const key = keyOf(path);
    let slot = this.#find(key);
    if (this.#slots[slot] === 0) {
      if ((this.#count + 1) * 2 > this.#slots.length) {
        this.#grow();
        slot = this.#find(key);
      }
      if (this.#count % recordsPerBlock === 0) this.#blocks.push(Buffer.alloc(recordsPerBlock * recordBytes));
      this.#count += 1;
      this.#slots[slot] = this.#count;
    }
    const { block, at } = this.#place(this.#slots[slot]!);
    const sum = Buffer.from(checksum ?? '', 'hex');
    assert.ok(sum.length <= checksumBytesMax);
    key.copy(block, at);
    block[at + keyBytes] = sum.length;
    block.writeUIntLE(sizeBytes, at + sizeAt, 6);
    sum.copy(block, at + checksumAt);
  }

  get(path: string): IndexedFile | undefined {
    const number = this.#slots[this.#find(keyOf(path))]!;
    if (number === 0) return undefined;
    const { block, at } = this.#place(number);
    const length = block[at + keyBytes]!;
    return {
      sizeBytes: block.readUIntLE(at + sizeAt, 6),
      checksum: length === 0 ? undefined : block.toString('hex', at + checksumAt, at + checksumAt + length),
    };
  }

  /** The slot that holds the key's number, or the free one where it belongs. */
  #find(key: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let slot = key.readUInt32LE(0) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]!;
      if (number === 0) return slot;
      const { block, at } = this.#place(number);
      if (isSameKey(key, block, at)) return slot;
    }
  }

  #place(number: number): { block: Buffer; at: number } {
    const index = number - 1;
    const block = this.#blocks[Math.floor(index / recordsPerBlock)]!;
    return { block, at: (index % recordsPerBlock) * recordBytes };
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 1; number <= this.#count; number += 1) {
      const { block, at } = this.#place(number);
      this.#slots[this.#find(block.subarray(at, at + keyBytes))] = number;
    }
  }
}

function isSameKey(key: Buffer, block: Buffer, at: number): boolean {
  for (let index = 0; index < keyBytes; index += 1) if (key[index] !== block[at + index]) return false;
  return true;
}

function keyOf(path: string): Buffer {
  return hash('sha256', nameToBytes(path), 'buffer').subarray(0, keyBytes);
}
