// Where every blob lies, in memory: 48 bytes a blob in typed arrays plus about 7 for the hash table (limit: 64).
import type { BlobId, PackId } from './ids.ts';
import type { BlobType, PackEntry } from './pack-header.ts';

export interface BlobLocation extends PackEntry {
  readonly pack: PackId;
  readonly offsetBytes: number;
}

/** A blob inside a pack with its place said, as index files list it. */
export interface PlacedEntry extends PackEntry {
  readonly offsetBytes: number;
}

// One record: id (8 words), pack number with the type in the top bit, offset, length, plain length.
const wordsPerRecord = 12;
const recordsPerPage = 16_384;
const typeBit = 0x8000_0000;
const loadMax = 0.8;

export class BlobIndex {
  readonly #pages: Uint32Array[] = [];
  /** The same memory, for the ids. */
  readonly #pageBytes: Buffer[] = [];
  /** Record number + 1 per slot, 0 for a free one; linear probing. */
  #slots = new Uint32Array(1024);
  #count = 0;
  readonly #packs: PackId[] = [];
  readonly #packNumbers = new Map<PackId, number>();
  /** First record of each pack; the records of a pack follow one another. */
  readonly #packStarts: number[] = [];
  readonly #probe = new Uint32Array(8);
  readonly #probeBytes = Buffer.from(this.#probe.buffer);

  /** How many records; a blob that lies in several packs counts once for each. */
  get size(): number {
    return this.#count;
  }

  /** All packs, in the order in which they were added. */
  get packs(): readonly PackId[] {
    return this.#packs;
  }

  hasPack(pack: PackId): boolean {
    return this.#packNumbers.has(pack);
  }

  /** Adds what a pack holds. A pack that is there already is left as it is: several index files may list it. */
  addPack(pack: PackId, entries: Iterable<PlacedEntry>): void {
    if (this.#packNumbers.has(pack)) return;
    const number = this.#packs.length;
    this.#packs.push(pack);
    this.#packNumbers.set(pack, number);
    this.#packStarts.push(this.#count);
    for (const entry of entries) this.#add(number, entry);
  }

  /** What a pack holds, in the order in which it was added; nothing if the pack is not known. */
  entriesOf(pack: PackId): PlacedEntry[] {
    const number = this.#packNumbers.get(pack);
    if (number === undefined) return [];
    const from = this.#packStarts[number] ?? 0;
    const end = this.#packStarts[number + 1] ?? this.#count;
    return Array.from({ length: end - from }, (_, at) => this.at(from + at));
  }

  /** Record number of some copy of a blob, or -1. Record numbers run from 0 to `size - 1` and never change. */
  recordOf(type: BlobType, id: BlobId): number {
    this.#probeBytes.write(id, 'hex');
    const mask = this.#slots.length - 1;
    for (let slot = this.#firstWord() & mask; ; slot = (slot + 1) & mask) {
      const record = (this.#slots[slot] as number) - 1;
      if (record < 0) return -1;
      if (this.#matches(record, type)) return record;
    }
  }

  has(type: BlobType, id: BlobId): boolean {
    return this.recordOf(type, id) >= 0;
  }

  find(type: BlobType, id: BlobId): BlobLocation | undefined {
    const record = this.recordOf(type, id);
    return record < 0 ? undefined : this.at(record);
  }

  /** All copies of a blob: a reader falls back to another if one is damaged. */
  findAll(type: BlobType, id: BlobId): BlobLocation[] {
    this.#probeBytes.write(id, 'hex');
    const mask = this.#slots.length - 1;
    const found: BlobLocation[] = [];
    for (let slot = this.#firstWord() & mask; ; slot = (slot + 1) & mask) {
      const record = (this.#slots[slot] as number) - 1;
      if (record < 0) return found;
      if (this.#matches(record, type)) found.push(this.at(record));
    }
  }

  at(record: number): BlobLocation {
    const page = this.#pages[Math.floor(record / recordsPerPage)] as Uint32Array;
    const from = (record % recordsPerPage) * wordsPerRecord;
    const packWord = page[from + 8] as number;
    const bytes = this.#pageBytes[Math.floor(record / recordsPerPage)] as Buffer;
    return {
      id: bytes.toString('hex', from * 4, from * 4 + 32) as BlobId,
      type: packWord >= typeBit ? 'tree' : 'data',
      pack: this.#packs[packWord & ~typeBit] as PackId,
      offsetBytes: page[from + 9] as number,
      lengthBytes: page[from + 10] as number,
      plainLengthBytes: page[from + 11] as number,
    };
  }

  /** Number of the pack a record lies in, an index into `packs`. */
  packNumberAt(record: number): number {
    const page = this.#pages[Math.floor(record / recordsPerPage)] as Uint32Array;
    return ((page[(record % recordsPerPage) * wordsPerRecord + 8] as number) & ~typeBit) >>> 0;
  }

  #firstWord(): number {
    return this.#probe[0] as number;
  }

  #matches(record: number, type: BlobType): boolean {
    const page = this.#pages[Math.floor(record / recordsPerPage)] as Uint32Array;
    const from = (record % recordsPerPage) * wordsPerRecord;
    if ((page[from + 8] as number) >= typeBit !== (type === 'tree')) return false;
    for (let word = 0; word < 8; word += 1) if (page[from + word] !== this.#probe[word]) return false;
    return true;
  }

  #add(packNumber: number, entry: PlacedEntry): void {
    if (this.#count + 1 > this.#slots.length * loadMax) this.#grow();
    const record = this.#count;
    if (record % recordsPerPage === 0) this.#addPage();
    const page = this.#pages.at(-1) as Uint32Array;
    const from = (record % recordsPerPage) * wordsPerRecord;
    this.#pageBytes.at(-1)?.write(entry.id, from * 4, 'hex');
    page[from + 8] = (packNumber | (entry.type === 'tree' ? typeBit : 0)) >>> 0;
    page[from + 9] = entry.offsetBytes;
    page[from + 10] = entry.lengthBytes;
    page[from + 11] = entry.plainLengthBytes;
    this.#count += 1;
    this.#insertSlot(record, page[from] as number);
  }

  #addPage(): void {
    const page = new Uint32Array(recordsPerPage * wordsPerRecord);
    this.#pages.push(page);
    this.#pageBytes.push(Buffer.from(page.buffer));
  }

  #insertSlot(record: number, word: number): void {
    const mask = this.#slots.length - 1;
    let slot = word & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = record + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let record = 0; record < this.#count; record += 1) {
      const page = this.#pages[Math.floor(record / recordsPerPage)] as Uint32Array;
      this.#insertSlot(record, page[(record % recordsPerPage) * wordsPerRecord] as number);
    }
  }
}
