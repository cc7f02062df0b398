// A set of index records, one bit each: what a walk over millions of blobs remembers.

export class RecordSet {
  readonly #recordsMax: number;
  readonly #bits: Uint8Array;
  #count = 0;

  /** `recordsMax` is the size of the index at this moment; records that come later are never in the set. */
  constructor(recordsMax: number) {
    this.#recordsMax = recordsMax;
    this.#bits = new Uint8Array(Math.ceil(recordsMax / 8));
  }

  get count(): number {
    return this.#count;
  }

  has(record: number): boolean {
    return ((this.#bits[record >>> 3] ?? 0) & (1 << (record & 7))) !== 0;
  }

  /** False if it was there already. */
  add(record: number): boolean {
    if (this.has(record)) return false;
    if (record < 0 || record >= this.#recordsMax) throw new RangeError(`record ${record} is not one of the set`);
    this.#bits[record >>> 3] = (this.#bits[record >>> 3] as number) | (1 << (record & 7));
    this.#count += 1;
    return true;
  }
}
