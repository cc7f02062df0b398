import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AppError } from '../../../base/errors.ts';
import { type DumpToc, tocReader } from './dump-toc.ts';

/** A table of contents as the format describes it; real ones are read by every test against a server. */
function dump(minor: number, entries: readonly Buffer[], versions = ['16.3 (Debian)', '17.1']): Buffer {
  const compression = minor >= 15 ? Buffer.of(0) : integer(0);
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.of(1, minor, 0, 4, 8, 1),
    compression,
    ...Array.from({ length: 7 }, () => integer(1)),
    text('shop'),
    ...versions.map(text),
    integer(entries.length),
    ...entries,
    Buffer.from('whatever comes behind'),
  ]);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(value < 0 ? 1 : 0);
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string | undefined): Buffer {
  return value === undefined ? integer(-1) : Buffer.concat([integer(Buffer.byteLength(value)), Buffer.from(value)]);
}

function entry(
  minor: number,
  fields: { tag: string; description: string; definition?: string; owner?: string; tablespace?: string },
): Buffer {
  const { tag, description, definition, owner, tablespace } = fields;
  return Buffer.concat([
    integer(1),
    integer(1),
    text('1259'),
    text('16384'),
    text(tag),
    text(description),
    integer(2),
    text(definition),
    text(undefined),
    text(undefined),
    text('public'),
    text(tablespace),
    text('heap'),
    ...(minor >= 16 ? [integer(114)] : []),
    text(owner),
    text('false'),
    text('12'),
    text(undefined),
    Buffer.alloc(9),
  ]);
}

function read(bytes: Buffer, chunkBytes: number): DumpToc | undefined {
  const reader = tocReader();
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  return reader.toc;
}

test.each([14, 15, 16])('format 1.%i is read, in chunks of any size', (minor) => {
  const bytes = dump(minor, [
    entry(minor, { tag: 'citext', description: 'EXTENSION' }),
    entry(minor, { tag: 't', description: 'TABLE DATA', owner: 'app', tablespace: 'fast' }),
    entry(minor, {
      tag: 'Odd, true); seq',
      description: 'SEQUENCE SET',
      owner: 'app',
      definition: `SELECT pg_catalog.setval('public."Odd, true); seq"', -42, false);\n`,
    }),
    entry(minor, { tag: 'EXTENSION citext', description: 'COMMENT' }),
    entry(minor, { tag: 't', description: 'ACL', owner: 'root' }),
    entry(minor, { tag: 'DEFAULT PRIVILEGES FOR TABLES', description: 'DEFAULT ACL', owner: 'root' }),
  ]);
  const expected = {
    serverMajor: 16,
    programMajor: 17,
    tables: 1,
    sequences: [{ schema: 'public', name: 'Odd, true); seq', lastValue: '-42', isCalled: false }],
    owners: new Set(['app', 'root']),
    ownersToSet: new Set(['app']),
    entryNumbers: [1, 1, 1, 1, 1, 1],
    delicate: [
      { number: 1, kind: 'comment on extension', tag: 'EXTENSION citext', owner: '' },
      { number: 1, kind: 'default right', tag: 'DEFAULT PRIVILEGES FOR TABLES', owner: 'root' },
    ],
    tablespaces: new Set(['fast']),
    extensions: new Set(['citext']),
  };
  for (const chunkBytes of [1, 7, 100, bytes.length]) expect(read(bytes, chunkBytes)).toEqual(expected);
});

test('a table of contents that is cut anywhere is not taken for a whole one', () => {
  const bytes = dump(16, [entry(16, { tag: 't', description: 'TABLE DATA' })]).subarray(
    0,
    -'whatever comes behind'.length,
  );
  for (let length = 0; length < bytes.length; length += 1) expect(read(bytes.subarray(0, length), 10)).toBeUndefined();
  expect(read(bytes, 10)?.tables).toBe(1);
});

test('a format of the future is refused as unsupported', () => {
  expect(() => read(dump(17, []), 100)).toThrow(expect.objectContaining({ code: 'SOURCE_UNSUPPORTED' }));
});

test('bytes that are no dump, or a spoilt one, are refused or left unfinished, never anything else', () => {
  const whole = dump(16, [
    entry(16, { tag: 's', description: 'SEQUENCE SET', definition: 'SELECT pg_catalog.setval(s, 1, true);' }),
  ]);
  const spoilt = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Buffer.from(whole);
    bytes[at] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
        spoilt,
      ),
      (bytes) => {
        expect(failureOf(bytes)).toSatisfy((error) => error === undefined || error instanceof AppError);
      },
    ),
    { numRuns: 2_000 },
  );
});

function failureOf(bytes: Buffer): unknown {
  try {
    read(bytes, 50);
    return undefined;
  } catch (error) {
    return error;
  }
}
