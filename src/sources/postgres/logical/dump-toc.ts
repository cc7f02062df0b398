// Reads the table of contents at the head of pg_dump's custom format while the dump streams by. It is the only exact
// word on what the dump holds: sequences do not obey snapshots, so their values are those that pg_dump met, not ours.
// Formats 1.14 (PostgreSQL 12…15), 1.15 (16) and 1.16 (17, 18).
import assert from 'node:assert/strict';
import { AppError } from '../../../base/errors.ts';

export interface DumpToc {
  /** Of the server that was dumped. */
  readonly serverMajor: number;
  /** Of pg_dump; a pg_restore that reads it must be as new. */
  readonly programMajor: number;
  readonly tables: number;
  readonly sequences: readonly SequenceValue[];
  readonly owners: ReadonlySet<string>;
  /** Those of `owners` to whom pg_restore gives objects; the others only own what is commented on or granted. */
  readonly ownersToSet: ReadonlySet<string>;
  readonly tablespaces: ReadonlySet<string>;
  readonly extensions: ReadonlySet<string>;
  /** Of all entries, in the dump's order: what pg_restore takes as a list. */
  readonly entryNumbers: readonly number[];
  /** Entries that the server may refuse to a role that is no superuser. */
  readonly delicate: readonly DelicateEntry[];
}

export interface DelicateEntry {
  readonly number: number;
  readonly kind: DelicateKind;
  /** `SCHEMA public`, `EXTENSION pg_trgm`, `pg_authid`. */
  readonly tag: string;
  readonly owner: string;
}

export type DelicateKind =
  | 'public schema'
  | 'comment on public schema'
  | 'comment on extension'
  | 'right in catalog'
  | 'default right'
  | 'event trigger';

export interface SequenceValue {
  readonly schema: string;
  readonly name: string;
  /** A 64-bit number. */
  readonly lastValue: string;
  readonly isCalled: boolean;
}

/** Takes the dump chunk by chunk. */
export interface TocReader {
  /** Rejects with `SOURCE_FAILED` what is not a dump. Ignores what comes after the table of contents. */
  push(chunk: Uint8Array): void;
  /** Once it is complete. */
  readonly toc: DumpToc | undefined;
}

export function tocReader(): TocReader {
  const parser = parseToc();
  let next = parser.next();
  let pending: Buffer = Buffer.alloc(0);
  return {
    push(chunk) {
      if (next.done === true) return;
      pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
      let at = 0;
      while (next.done !== true && pending.length - at >= next.value) {
        const length = next.value;
        next = parser.next(pending.subarray(at, at + length));
        at += length;
      }
      pending = Buffer.from(pending.subarray(at));
    },
    get toc() {
      return next.done === true ? next.value : undefined;
    },
  };
}

/** A parser asks for a number of bytes and is resumed with them. */
type Parser<Result> = Generator<number, Result, Buffer>;

interface Layout {
  /** The minor version: 14 stands for 1.14. */
  readonly minor: number;
  readonly integerBytes: number;
  readonly offsetBytes: number;
}

interface TocEntry {
  readonly number: number;
  readonly tag: string;
  readonly description: string;
  readonly definition: string;
  readonly schema: string;
  readonly tablespace: string;
  readonly owner: string;
}

const entriesMax = 10_000_000;
/** Far above any statement, so that a damaged length does not make us gather the dump in memory. */
const textMaxBytes = 16 * 2 ** 20;

function* parseToc(): Parser<DumpToc> {
  const layout = yield* parseLayout();
  if (layout.minor >= 15) yield 1; // Compression method.
  else yield* parseInteger(layout);
  for (let field = 0; field < 7; field += 1) yield* parseInteger(layout); // When the dump was made, in local time.
  yield* parseText(layout); // Database.
  const serverMajor = Number.parseInt((yield* parseText(layout)) ?? '', 10);
  const programMajor = Number.parseInt((yield* parseText(layout)) ?? '', 10);
  const count = yield* parseInteger(layout);
  if (count < 0 || count > entriesMax) throw notADump(`${count} entries`);
  const found = nothingFound();
  for (let index = 0; index < count; index += 1) note(found, yield* parseEntry(layout));
  return { serverMajor, programMajor, ...found };
}

function nothingFound() {
  return {
    tables: 0,
    sequences: [] as SequenceValue[],
    owners: new Set<string>(),
    ownersToSet: new Set<string>(),
    tablespaces: new Set<string>(),
    extensions: new Set<string>(),
    entryNumbers: [] as number[],
    delicate: [] as DelicateEntry[],
  };
}

function note(found: ReturnType<typeof nothingFound>, entry: TocEntry): void {
  const { number, tag, owner, description, tablespace } = entry;
  found.entryNumbers.push(number);
  const kind = delicateKind(entry);
  if (kind !== undefined) found.delicate.push({ number, kind, tag, owner });
  const isGiven = !/ACL|COMMENT|SECURITY LABEL/.test(description) && kind !== 'public schema';
  if (owner !== '') found.owners.add(owner);
  if (owner !== '' && isGiven) found.ownersToSet.add(owner);
  if (tablespace !== '') found.tablespaces.add(tablespace);
  if (description === 'EXTENSION') found.extensions.add(tag);
  if (description === 'TABLE DATA') found.tables += 1;
  if (description === 'SEQUENCE SET') found.sequences.push(sequenceValue(entry));
}

function delicateKind({ description, tag, schema }: TocEntry): DelicateKind | undefined {
  const isInCatalog = /^(?:SCHEMA )?(?:pg_catalog|information_schema)$/.test(schema === '' ? tag : schema);
  if (description === 'SCHEMA' && tag === 'public') return 'public schema';
  if (description === 'COMMENT' && tag === 'SCHEMA public') return 'comment on public schema';
  if (description === 'COMMENT' && tag.startsWith('EXTENSION ')) return 'comment on extension';
  if (description === 'ACL' && isInCatalog) return 'right in catalog';
  if (description === 'DEFAULT ACL') return 'default right';
  return description === 'EVENT TRIGGER' ? 'event trigger' : undefined;
}

function* parseLayout(): Parser<Layout> {
  const head = yield 11;
  if (head.toString('latin1', 0, 5) !== 'PGDMP') throw notADump('the first bytes are not PGDMP');
  const [major, minor, , integerBytes, offsetBytes, format] = head.subarray(5);
  assert.ok(minor !== undefined && integerBytes !== undefined && offsetBytes !== undefined);
  if (major !== 1 || minor < 14 || minor > 16) {
    throw new AppError('SOURCE_UNSUPPORTED', `a dump of format ${major}.${minor}, where 1.14 to 1.16 are known`, {
      hint: 'Use a pg_dump of PostgreSQL 12 to 18, or update this program.',
    });
  }
  if (format !== 1 || integerBytes !== 4 || offsetBytes > 8)
    throw notADump(`format ${format}, ${integerBytes}-byte integers`);
  return { minor, integerBytes, offsetBytes };
}

function* parseInteger({ integerBytes }: Layout): Parser<number> {
  const bytes = yield 1 + integerBytes;
  const magnitude = bytes.readUIntLE(1, integerBytes);
  return bytes[0] === 0 ? magnitude : -magnitude;
}

function* parseText(layout: Layout): Parser<string | undefined> {
  const length = yield* parseInteger(layout);
  if (length < 0) return undefined;
  if (length > textMaxBytes) throw notADump(`a text of ${length} bytes`);
  return (yield length).toString('utf8');
}

function* parseEntry(layout: Layout): Parser<TocEntry> {
  const number = yield* parseInteger(layout);
  yield* parseInteger(layout); // Whether it has data.
  yield* parseText(layout); // Catalog.
  yield* parseText(layout); // Object id.
  const tag = (yield* parseText(layout)) ?? '';
  const description = (yield* parseText(layout)) ?? '';
  yield* parseInteger(layout); // Section.
  const definition = (yield* parseText(layout)) ?? '';
  yield* parseText(layout); // Drop statement.
  yield* parseText(layout); // Copy statement.
  const schema = (yield* parseText(layout)) ?? '';
  const tablespace = (yield* parseText(layout)) ?? '';
  yield* parseText(layout); // Table access method.
  if (layout.minor >= 16) yield* parseInteger(layout); // Kind of relation.
  const owner = (yield* parseText(layout)) ?? '';
  yield* parseText(layout); // Whether the table has oids: a thing of the past.
  while ((yield* parseText(layout)) !== undefined); // Dependencies.
  yield 1 + layout.offsetBytes; // Where the data is: unknown in a stream.
  return { number, tag, description, definition, schema, tablespace, owner };
}

const setvalPattern = /, '?(-?\d+)'?, (true|false)\);\s*$/;

function sequenceValue({ schema, tag, definition }: TocEntry): SequenceValue {
  const [, lastValue, isCalled] = setvalPattern.exec(definition) ?? [];
  if (lastValue === undefined) throw notADump(`the value of sequence ${schema}.${tag} is not understood`);
  return { schema, name: tag, lastValue, isCalled: isCalled === 'true' };
}

function notADump(what: string): AppError {
  return new AppError('SOURCE_FAILED', `what pg_dump wrote is no dump in custom format: ${what}`, {
    hint: 'Check that the pg_dump found is the one of PostgreSQL.',
  });
}
