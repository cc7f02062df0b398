import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import { ManifestIndex } from './manifest-index.ts';
import { type ManifestFile, ManifestReader } from './manifest.ts';

/** As the server lays it out; real ones are read in test/integration. */
function manifest(version: number, fileLines: readonly string[]): Buffer {
  const head = [
    `{ "PostgreSQL-Backup-Manifest-Version": ${version},`,
    ...(version === 2 ? ['"System-Identifier": 7394000000000000001,'] : []),
    '"Files": [',
    ...(fileLines.length === 0 ? [] : [fileLines.join(',\n')]),
    '],',
    '"WAL-Ranges": [',
    '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" },',
    '{ "Timeline": 2, "Start-LSN": "0/2000100", "End-LSN": "1/2000200" }',
    '],',
    '',
  ].join('\n');
  const sum = createHash('sha256').update(head).digest('hex');
  return Buffer.from(`${head}"Manifest-Checksum": "${sum}"}\n`);
}

const lines = [
  '{ "Path": "backup_label", "Size": 227, "Last-Modified": "2026-11-20 18:21:21 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "AB00" }',
  String.raw`{ "Path": "base/1/\"odd\" \u00fcber", "Size": 9663676416, "Last-Modified": "2026-11-20 18:21:21 GMT" }`,
  '{ "Encoded-Path": "66ff2f61", "Size": 0, "Last-Modified": "2026-11-20 18:21:21 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }',
];

function read(bytes: Uint8Array, lengths: readonly number[] = [bytes.length || 1]) {
  const reader = new ManifestReader();
  const files: ManifestFile[] = [];
  for (const piece of pieces(bytes, lengths)) files.push(...reader.push(piece));
  return { files, summary: reader.finish() };
}

test('files, system and WAL come out of both versions, wherever the bytes are split', () => {
  fc.assert(
    fc.property(pieceLengths, fc.constantFrom(1, 2), (lengths, version) => {
      const { files, summary } = read(manifest(version, lines), lengths);
      expect(files).toEqual([
        { path: 'backup_label', sizeBytes: 227, algorithm: 'SHA256', checksum: 'ab00' },
        { path: 'base/1/"odd" über', sizeBytes: 9663676416, algorithm: undefined, checksum: undefined },
        { path: 'f\udcff/a', sizeBytes: 0, algorithm: 'CRC32C', checksum: '00000000' },
      ]);
      expect(summary).toMatchObject({
        version,
        systemIdentifier: version === 2 ? 7_394_000_000_000_000_001n : undefined,
        files: 3,
        walRanges: [
          { timeline: 1, startLsn: 0x2000028n, endLsn: 0x2000100n },
          { timeline: 2, startLsn: 0x2000100n, endLsn: 0x1_0200_0200n },
        ],
      });
    }),
    { numRuns: 100 },
  );
});

test('any byte altered is noticed', () => {
  const whole = manifest(2, lines);
  // Blanks and the case of digits on the last line are not under its checksum.
  const last = whole.lastIndexOf(10, whole.length - 2) + 1;
  fc.assert(
    fc.property(fc.nat(last - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const copy = Buffer.from(whole);
      copy[at] = copy.readUInt8(at) ^ change;
      expect(() => read(copy)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 1000 },
  );
});

test('a manifest that is cut short anywhere is not taken for a whole one', () => {
  const whole = manifest(2, lines);
  for (let length = 0; length < whole.length; length += 1) {
    expect(() => read(whole.subarray(0, length))).toThrow('the backup manifest is damaged: it is cut short');
  }
});

test('a version of the future is unknown, and a line without an end is not waited for', () => {
  expect(() => read(manifest(3, lines))).toThrow(expect.objectContaining({ code: 'SOURCE_UNSUPPORTED' }));
  const reader = new ManifestReader();
  const endless = (): void => {
    for (;;) for (const _ of reader.push(Buffer.alloc(1000, 0x20))) void _;
  };
  expect(endless).toThrow('a line is longer than 16384 bytes');
});

test('any bytes are a manifest or our error', () => {
  const whole = manifest(2, lines);
  const spoilt = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(127)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(spoilt, pieceLengths, (changes, lengths) => {
      const copy = Buffer.from(whole);
      for (const [at, byte] of changes) copy[at] = byte;
      expect(() => onlyAppErrors(() => read(copy, lengths))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});

test('the index answers as a map would', () => {
  const file = fc.record({
    sizeBytes: fc.nat({ max: 2 ** 48 - 1 }),
    checksum: fc.option(
      fc.uint8Array({ minLength: 1, maxLength: 32 }).map((sum) => sum.toHex()),
      { nil: undefined },
    ),
  });
  const path = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ maxLength: 100 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(path, file), { maxLength: 2000 }), (entries) => {
      const map = new Map(entries);
      const index = new ManifestIndex();
      for (const [name, value] of entries) index.set(name, value);
      expect(index.size).toBe(map.size);
      for (const [name, value] of map) expect(index.get(name)).toEqual(value);
      expect(index.get('not there, surely, whatever was made up')).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});

test('an index of many files keeps within 64 bytes a file', () => {
  const index = new ManifestIndex();
  const checksum = 'ab'.repeat(32);
  const files = 7 * 16_384; // Full blocks: what the last one leaves unused is nothing in a million, but much in a few.
  for (let n = 0; n < files; n += 1) index.set(`base/5/${n}`, { sizeBytes: n, checksum });
  expect(index.get(`base/5/${files - 1}`)).toEqual({ sizeBytes: files - 1, checksum });
  expect(index.memoryBytes / files).toBeLessThan(64);
});
