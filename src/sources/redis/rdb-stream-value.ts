// Streams: entries packed in listpacks, consumer groups and what each consumer has not acknowledged.
// Hashed is the logical content: entries that were not deleted with ids, fields and values; the last id; groups with their
// last id; pending entries with delivery time, count and owner. Left out is what versions keep differently or recompute at
// load: counters of entries ever added and read, the largest deleted id, when a consumer was seen.
import { decimal } from './packed-bytes.ts';
import { listpackElements } from './listpack.ts';
import { rdbDamaged } from './rdb-damage.ts';
import type { Parsing, RdbInput } from './rdb-input.ts';
import { rdbCount, rdbNumber, rdbString } from './rdb-primitives.ts';
import { OrderedHash } from './value-hash.ts';

const deletedFlag = 1;
const sameFieldsFlag = 2;
const typeOfVersion2 = 19;
const typeOfVersion3 = 21;

interface StreamId {
  readonly milliseconds: bigint;
  readonly sequence: bigint;
}

export function* streamValue(input: RdbInput, typeCode: number): Parsing<Buffer> {
  const hash = new OrderedHash();
  let entries = 0;
  for (let left = yield* rdbCount(input); left > 0; left -= 1) {
    const base = streamId(yield* rdbString(input));
    entries += hashNode(hash, yield* rdbString(input), base);
  }
  const length = yield* rdbCount(input);
  if (length !== entries) throw rdbDamaged(`a stream of ${length} entries holds ${entries}`);
  hash.add(decimal(length));
  hash.add(yield* idText(input));
  // First id, largest deleted id, entries added.
  if (typeCode >= typeOfVersion2) for (let skipped = 0; skipped < 5; skipped += 1) yield* rdbNumber(input);
  for (let left = yield* rdbCount(input); left > 0; left -= 1) yield* group(input, hash, typeCode);
  return hash.digest();
}

function streamId(bytes: Buffer): StreamId {
  if (bytes.length !== 16) throw rdbDamaged(`a stream id of ${bytes.length} bytes`);
  return { milliseconds: bytes.readBigUInt64BE(0), sequence: bytes.readBigUInt64BE(8) };
}

function* idText(input: RdbInput): Parsing<Buffer> {
  const milliseconds = yield* rdbNumber(input);
  return Buffer.from(`${milliseconds}-${yield* rdbNumber(input)}`, 'latin1');
}

/** Hashes the entries of one node and tells how many there were. */
function hashNode(hash: OrderedHash, packed: Buffer, base: StreamId): number {
  const elements = new NodeElements(packed);
  const live = elements.integer();
  elements.integer(); // Deleted ones.
  const fields = Array.from({ length: elements.count() }, () => elements.next());
  elements.integer(); // The zero that ends the master entry.
  let seen = 0;
  while (elements.hasMore) {
    const flags = elements.integer();
    const id = `${base.milliseconds + elements.bigint()}-${base.sequence + elements.bigint()}`;
    const content = (flags & sameFieldsFlag) === 0 ? ownFields(elements) : sameFields(elements, fields);
    elements.integer(); // Number of elements, for reading backwards.
    if ((flags & deletedFlag) !== 0) continue;
    seen += 1;
    hash.add(Buffer.from(`${id} ${content.length}`, 'latin1'));
    for (const part of content) hash.add(part);
  }
  if (seen !== live) throw rdbDamaged(`a stream node of ${live} entries holds ${seen}`);
  return seen;
}

function ownFields(elements: NodeElements): Buffer[] {
  return Array.from({ length: elements.count() * 2 }, () => elements.next());
}

function sameFields(elements: NodeElements, fields: readonly Buffer[]): Buffer[] {
  return fields.flatMap((field) => [field, elements.next()]);
}

function* group(input: RdbInput, hash: OrderedHash, typeCode: number): Parsing<void> {
  hash.add(yield* rdbString(input));
  hash.add(yield* idText(input));
  if (typeCode >= typeOfVersion2) yield* rdbNumber(input); // Entries read.
  const pending = yield* rdbCount(input);
  hash.add(decimal(pending));
  for (let left = pending; left > 0; left -= 1) {
    hash.add(Buffer.from(yield* input.take(16 + 8))); // Id and time of delivery.
    hash.add(decimal(yield* rdbNumber(input)));
  }
  const consumers = yield* rdbCount(input);
  hash.add(decimal(consumers));
  for (let left = consumers; left > 0; left -= 1) {
    hash.add(yield* rdbString(input));
    yield* input.take(typeCode >= typeOfVersion3 ? 16 : 8); // When seen, when active.
    const owned = yield* rdbCount(input);
    hash.add(decimal(owned));
    for (let entry = 0; entry < owned; entry += 1) hash.add(Buffer.from(yield* input.take(16)));
  }
}

/** The elements of a node, whose meaning depends on those before. */
class NodeElements {
  readonly #elements: Buffer[];
  #at = 0;

  constructor(packed: Buffer) {
    this.#elements = [...listpackElements(packed)];
  }

  get hasMore(): boolean {
    return this.#at < this.#elements.length;
  }

  next(): Buffer {
    const element = this.#elements[this.#at];
    if (element === undefined) throw rdbDamaged('a stream node ends too early');
    this.#at += 1;
    return element;
  }

  bigint(): bigint {
    const text = this.next().toString('latin1');
    if (!/^-?\d{1,20}$/.test(text)) throw rdbDamaged('a stream node has text where a number must be');
    return BigInt(text);
  }

  integer(): number {
    return Number(this.bigint());
  }

  /** How many elements follow: never more than there are, so that a false number reserves nothing. */
  count(): number {
    const count = this.integer();
    if (count < 0 || count > this.#elements.length - this.#at) throw rdbDamaged(`a stream entry of ${count} fields`);
    return count;
  }
}
