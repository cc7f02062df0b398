// Reads one value of any RDB type and yields the hash of its logical content.
import { createHash, hash as hashOnce } from 'node:crypto';
import { intsetElements } from './intset.ts';
import { listpackElements } from './listpack.ts';
import { rdbDamaged, rdbUnknown } from './rdb-damage.ts';
import type { Parsing, RdbInput } from './rdb-input.ts';
import { encodedString, rdbCount, rdbLength, rdbString, stringBytes } from './rdb-primitives.ts';
import { streamValue } from './rdb-stream-value.ts';
import { hashParts, HashSum, OrderedHash } from './value-hash.ts';
import { ziplistElements } from './ziplist.ts';
import { zipmapElements } from './zipmap.ts';

export type KeyType = 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream' | 'module';

export interface RdbValue {
  readonly type: KeyType;
  /** Absent for modules' own types: only the module knows what in them is data. */
  readonly digest: Buffer | undefined;
}

export function* rdbValue(input: RdbInput, typeCode: number): Parsing<RdbValue> {
  switch (typeCode) {
    case 0:
      return { type: 'string', digest: yield* stringDigest(input) };
    case 1:
      return { type: 'list', digest: yield* plainList(input) };
    case 2:
      return { type: 'set', digest: yield* plainSet(input) };
    case 3:
    case 5:
      return { type: 'zset', digest: yield* plainSortedSet(input, typeCode === 5) };
    case 4:
      return { type: 'hash', digest: yield* plainHash(input) };
    case 7:
      yield* rdbCount(input); // The module's id.
      yield* skipModuleData(input);
      return { type: 'module', digest: undefined };
    case 14:
      return { type: 'list', digest: yield* ziplistQuicklist(input) };
    case 18:
      return { type: 'list', digest: yield* listpackQuicklist(input) };
    case 15:
    case 19:
    case 21:
      return { type: 'stream', digest: yield* streamValue(input, typeCode) };
    default:
      return packedValue(yield* packedType(input, typeCode), typeCode);
  }
}

/** Strings from here on are hashed as they come, so that one never has to be in memory whole. */
const longStringBytes = 1024 * 1024;

function* stringDigest(input: RdbInput): Parsing<Buffer> {
  const { value, isSpecial } = yield* rdbLength(input);
  if (isSpecial) return shortDigest(yield* encodedString(input, Number(value)));
  let missing = stringBytes(value);
  if (missing < longStringBytes) return shortDigest(yield* input.take(missing));
  const long = createHash('sha256');
  while (missing > 0) {
    const piece = yield* input.takeSome(missing);
    long.update(piece);
    missing -= piece.length;
  }
  return long.digest();
}

/** What is shorter than a hash stands for itself. */
function shortDigest(text: Buffer): Buffer {
  return text.length < 32 ? Buffer.from(text) : hashOnce('sha256', text, 'buffer');
}

function* plainList(input: RdbInput): Parsing<Buffer> {
  const hash = new OrderedHash();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) hash.add(yield* rdbString(input));
  return hash.digest();
}

function* plainSet(input: RdbInput): Parsing<Buffer> {
  const sum = new HashSum();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) sum.add(hashParts([yield* rdbString(input)]));
  return sum.digest();
}

function* plainHash(input: RdbInput): Parsing<Buffer> {
  const sum = new HashSum();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) {
    const field = yield* rdbString(input);
    sum.add(hashParts([field, yield* rdbString(input)]));
  }
  return sum.digest();
}

function* plainSortedSet(input: RdbInput, isBinary: boolean): Parsing<Buffer> {
  const sum = new HashSum();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) {
    const member = yield* rdbString(input);
    const score = isBinary ? (yield* input.take(8)).readDoubleLE(0) : yield* textScore(input);
    sum.add(memberDigest(member, score));
  }
  return sum.digest();
}

/** Scores before Redis 4: text with a length byte, three of whose values stand for what has no digits. */
function* textScore(input: RdbInput): Parsing<number> {
  const length = yield* input.byte();
  if (length === 255) return -Infinity;
  if (length === 254) return Infinity;
  if (length === 253) return NaN;
  return scoreOf(yield* input.take(length));
}

function scoreOf(text: Buffer): number {
  const score = text.toString('latin1');
  if (score === 'inf') return Infinity;
  if (score === '-inf') return -Infinity;
  const number = Number(score);
  if (score === '' || Number.isNaN(number)) throw rdbDamaged('a score is not a number');
  return number;
}

function memberDigest(member: Buffer, score: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(score === 0 ? 0 : score); // -0 survives in one encoding and not in the other.
  return hashParts([member, bytes]);
}

function* ziplistQuicklist(input: RdbInput): Parsing<Buffer> {
  const hash = new OrderedHash();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) {
    for (const element of ziplistElements(yield* rdbString(input))) hash.add(element);
  }
  return hash.digest();
}

function* listpackQuicklist(input: RdbInput): Parsing<Buffer> {
  const hash = new OrderedHash();
  for (let left = yield* rdbCount(input); left > 0; left -= 1) {
    const container = yield* rdbCount(input);
    const node = yield* rdbString(input);
    if (container === 1) hash.add(node);
    else if (container === 2) for (const element of listpackElements(node)) hash.add(element);
    else throw rdbDamaged(`a list node of the unknown kind ${container}`);
  }
  return hash.digest();
}

/** What comes as one string that holds the whole collection; checked before the string, which may be anything else. */
function* packedType(input: RdbInput, typeCode: number): Parsing<Buffer> {
  if (![9, 10, 11, 12, 13, 16, 17, 20].includes(typeCode)) throw rdbUnknown(`value type ${typeCode}`);
  return yield* rdbString(input);
}

function packedValue(packed: Buffer, typeCode: number): RdbValue {
  switch (typeCode) {
    case 9:
      return { type: 'hash', digest: pairsDigest(zipmapElements(packed)) };
    case 10:
      return { type: 'list', digest: listDigest(ziplistElements(packed)) };
    case 11:
      return { type: 'set', digest: setDigest(intsetElements(packed)) };
    case 12:
      return { type: 'zset', digest: sortedSetDigest(ziplistElements(packed)) };
    case 13:
      return { type: 'hash', digest: pairsDigest(ziplistElements(packed)) };
    case 16:
      return { type: 'hash', digest: pairsDigest(listpackElements(packed)) };
    case 17:
      return { type: 'zset', digest: sortedSetDigest(listpackElements(packed)) };
    default:
      return { type: 'set', digest: setDigest(listpackElements(packed)) };
  }
}

function listDigest(elements: Iterable<Buffer>): Buffer {
  const hash = new OrderedHash();
  for (const element of elements) hash.add(element);
  return hash.digest();
}

function setDigest(elements: Iterable<Buffer>): Buffer {
  const sum = new HashSum();
  for (const element of elements) sum.add(hashParts([element]));
  return sum.digest();
}

function pairsDigest(elements: Iterable<Buffer>): Buffer {
  const sum = new HashSum();
  for (const [field, value] of pairs(elements)) sum.add(hashParts([field, value]));
  return sum.digest();
}

function sortedSetDigest(elements: Iterable<Buffer>): Buffer {
  const sum = new HashSum();
  for (const [member, score] of pairs(elements)) sum.add(memberDigest(member, scoreOf(score)));
  return sum.digest();
}

function* pairs(elements: Iterable<Buffer>): Generator<readonly [Buffer, Buffer]> {
  let first: Buffer | undefined;
  for (const element of elements) {
    if (first === undefined) {
      first = element;
      continue;
    }
    yield [first, element];
    first = undefined;
  }
  if (first !== undefined) throw rdbDamaged('a packed value has an odd number of elements');
}

/** Steps over what a module stored; every item says what it is. */
export function* skipModuleData(input: RdbInput): Parsing<void> {
  for (let opcode = yield* rdbCount(input); opcode !== 0; opcode = yield* rdbCount(input)) {
    switch (opcode) {
      case 1:
      case 2:
        yield* rdbLength(input);
        break;
      case 3:
        yield* input.take(4);
        break;
      case 4:
        yield* input.take(8);
        break;
      case 5:
        yield* rdbString(input);
        break;
      default:
        throw rdbDamaged(`a module value holds the unknown opcode ${opcode}`);
    }
  }
}
