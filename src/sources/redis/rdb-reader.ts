// The outer form of an RDB file: header, databases, keys with expiry, functions, end. Pure: bytes in, records out.
import { rdbDamaged, rdbUnknown } from './rdb-damage.ts';
import { RdbInput, type Parsing } from './rdb-input.ts';
import { rdbCount, rdbNumber, rdbString } from './rdb-primitives.ts';
import { rdbValue, skipModuleData, type KeyType } from './rdb-values.ts';

export type RdbRecord =
  | { readonly kind: 'header'; readonly version: number }
  | { readonly kind: 'aux'; readonly name: string; readonly value: string }
  | { readonly kind: 'function'; readonly code: Buffer }
  | RdbKey
  /** All keys were read; the checksum (zero if the server computes none) is the file's last 8 bytes. */
  | { readonly kind: 'end'; readonly checksum: Buffer };

export interface RdbKey {
  readonly kind: 'key';
  readonly database: number;
  readonly key: Buffer;
  readonly type: KeyType;
  /** Milliseconds since 1970; rounded where a server keeps an instant beyond the year 287000. */
  readonly expiresAtMs: number | undefined;
  readonly digest: Buffer | undefined;
  /** Type and value as they stand in the file, in pieces, if captured: the body of a RESTORE. */
  readonly serialized: readonly Buffer[] | undefined;
}

export interface RdbReader {
  /** Takes the next bytes of the file; returns what they completed. Throws only `AppError`, after all that came before it. */
  push(bytes: Buffer): RdbRecord[];
  /** Says whether the file is complete; throws if it isn't. */
  finish(): void;
}

/** `captures` keeps each value's serialized form, so that one value at a time is in memory whole. */
export function rdbReader(options: { readonly captures: boolean }): RdbReader {
  const input = new RdbInput();
  let records: RdbRecord[] = [];
  const parsing = parseFile(input, { captures: options.captures, emit: (record) => records.push(record) });
  let isDone = false;
  let failure: unknown;
  const advance = (bytes: Buffer) => {
    if (isDone && bytes.length > 0) throw rdbDamaged(`${bytes.length} bytes follow its end`);
    input.push(bytes);
    isDone = parsing.next().done === true;
    if (isDone && input.availableBytes > 0) throw rdbDamaged(`${input.availableBytes} bytes follow its end`);
  };
  return {
    push(bytes) {
      if (failure !== undefined) throw failure as Error;
      try {
        advance(bytes);
      } catch (error) {
        if (records.length === 0) throw error;
        failure = error;
      }
      const complete = records;
      records = [];
      return complete;
    },
    finish() {
      if (failure !== undefined) throw failure as Error;
      if (!isDone) throw rdbDamaged('it ends in the middle');
    },
  };
}

interface FileContext {
  readonly captures: boolean;
  emit(record: RdbRecord): void;
}

interface KeyContext {
  database: number;
  expiresAtMs: number | undefined;
}

function* parseFile(input: RdbInput, context: FileContext): Parsing<void> {
  context.emit({ kind: 'header', version: rdbVersion(yield* input.take(9)) });
  const state: KeyContext = { database: 0, expiresAtMs: undefined };
  for (let opcode = yield* input.byte(); opcode !== 0xff; opcode = yield* input.byte()) {
    if (opcode < 243) yield* parseKey(input, opcode, { ...context, state });
    else yield* parseOpcode(input, opcode, { ...context, state });
  }
  context.emit({ kind: 'end', checksum: Buffer.from(yield* input.take(8)) });
}

function rdbVersion(header: Buffer): number {
  const match = /^(?:REDIS(\d{4})|VALKEY(\d{3}))$/.exec(header.toString('latin1'));
  if (match === null) throw rdbDamaged('it does not begin as an RDB file');
  return Number(match[1] ?? match[2]);
}

function* parseKey(
  input: RdbInput,
  typeCode: number,
  context: FileContext & { readonly state: KeyContext },
): Parsing<void> {
  const key = Buffer.from(yield* rdbString(input));
  if (context.captures) input.beginCapture();
  const { type, digest } = yield* rdbValue(input, typeCode);
  const serialized = context.captures ? [Buffer.of(typeCode), ...input.endCapture()] : undefined;
  const { database, expiresAtMs } = context.state;
  context.emit({ kind: 'key', database, key, type, expiresAtMs, digest, serialized });
  context.state.expiresAtMs = undefined;
}

function* parseOpcode(
  input: RdbInput,
  opcode: number,
  context: FileContext & { readonly state: KeyContext },
): Parsing<void> {
  switch (opcode) {
    case 244: // Cluster slot sizes: a hint for allocation.
      for (let skipped = 0; skipped < 3; skipped += 1) yield* rdbCount(input);
      break;
    case 245:
      context.emit({ kind: 'function', code: Buffer.from(yield* rdbString(input)) });
      break;
    case 247: // What a module keeps beside keys: id, when it was saved (opcode and number), data.
      for (let skipped = 0; skipped < 3; skipped += 1) yield* rdbNumber(input);
      yield* skipModuleData(input);
      break;
    case 248: // Idle time: eviction starts afresh after a restore.
      yield* rdbCount(input);
      break;
    case 249: // Access frequency, likewise.
      yield* input.byte();
      break;
    case 250: {
      const name = (yield* rdbString(input)).toString('latin1');
      context.emit({ kind: 'aux', name, value: (yield* rdbString(input)).toString('latin1') });
      break;
    }
    case 251: // Sizes of the hash tables to come.
      yield* rdbCount(input);
      yield* rdbCount(input);
      break;
    case 252:
      context.state.expiresAtMs = Number((yield* input.take(8)).readBigInt64LE(0));
      break;
    case 253:
      context.state.expiresAtMs = (yield* input.take(4)).readInt32LE(0) * 1000;
      break;
    case 254:
      context.state.database = yield* rdbCount(input);
      break;
    default:
      throw rdbUnknown(`opcode ${opcode}`);
  }
}
