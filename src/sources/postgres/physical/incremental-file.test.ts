import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import { type IncrementalEvent, IncrementalReader } from './incremental-file.ts';

/** As the server lays it out; real ones are read in test/integration. */
function incremental(blocks: readonly number[], truncationBlocks: number): Buffer {
  const header = Buffer.alloc(blocks.length === 0 ? 12 : Math.ceil((12 + 4 * blocks.length) / 8192) * 8192);
  header.writeUInt32LE(0xd3ae1f0d, 0);
  header.writeUInt32LE(blocks.length, 4);
  header.writeUInt32LE(truncationBlocks, 8);
  for (const [index, block] of blocks.entries()) header.writeUInt32LE(block, 12 + 4 * index);
  return Buffer.concat([header, ...blocks.map((block) => Buffer.alloc(8192, (block % 250) + 1))]);
}

function read(
  bytes: Buffer,
  lengths: readonly number[] = [bytes.length],
  sizeBytes = bytes.length,
): IncrementalEvent[] {
  const reader = new IncrementalReader(sizeBytes);
  const events = [...pieces(bytes, lengths)].flatMap((piece) => [...reader.push(piece)]);
  reader.finish();
  return events;
}

test('each page comes at its place, wherever the bytes are split', () => {
  const lists = fc
    .uniqueArray(fc.oneof(fc.nat(20), fc.nat(131_071)), { maxLength: 12 })
    .map((blocks) => blocks.toSorted((left, right) => left - right));
  fc.assert(
    fc.property(lists, fc.nat(131_072), pieceLengths, (blocks, truncationBlocks, lengths) => {
      const [first, ...ranges] = read(incremental(blocks, truncationBlocks), lengths);
      expect(first).toEqual({
        kind: 'header',
        header: {
          blocks: Uint32Array.from(blocks),
          truncationBlocks,
          isClamped: false,
          resultBytes: Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1) * 8192,
        },
      });
      const found: number[] = [];
      let end = 0;
      for (const event of ranges) {
        if (event.kind !== 'range') throw new Error('two headers');
        expect(event.offset).toBeGreaterThanOrEqual(end);
        end = event.offset + event.bytes.length;
        for (let at = event.offset; at < end; at += 1) {
          if (event.bytes[at - event.offset] !== (Math.floor(at / 8192) % 250) + 1) throw new Error(`wrong at ${at}`);
          if (at % 8192 === 0) found.push(at / 8192);
        }
      }
      expect(found).toEqual(blocks);
    }),
    { numRuns: 60 },
  );
});

test('pages that follow one another are one range', () => {
  const events = read(incremental([3, 4, 5, 9], 10));
  expect(
    events.flatMap((event) => (event.kind === 'range' ? [[event.offset / 8192, event.bytes.length / 8192]] : [])),
  ).toEqual([
    [3, 3],
    [9, 1],
  ]);
});

test('a length beyond what a file can have is clamped and told', () => {
  const [event] = read(incremental([], 200_000));
  expect(event).toMatchObject({ header: { truncationBlocks: 131_072, isClamped: true, resultBytes: 2 ** 30 } });
});

test.each([
  [Buffer.alloc(12), 'does not begin like one'],
  [incremental([2, 2], 5), 'page 2 is listed out of order'],
  [incremental([5, 2], 5), 'page 2 is listed out of order'],
  [incremental([131_072], 5), 'page 131072 is listed out of order'],
  [incremental([1, 2], 5).subarray(0, -1), 'do not fit'],
  [Buffer.concat([incremental([], 5), Buffer.of(0)]), 'do not fit'],
])('what is not sound is refused (%#)', (bytes, message) => {
  expect(() => read(bytes)).toThrow(message);
});

test('a file that breaks off, or goes on, is noticed', () => {
  const bytes = incremental([1, 2], 5);
  for (const length of [0, 11, 12, 100, 8192, 8193, bytes.length - 1]) {
    expect(() => read(bytes.subarray(0, length), [1000], bytes.length)).toThrow('it is cut short');
  }
  expect(() => read(Buffer.concat([bytes, Buffer.of(0)]), [1000], bytes.length)).toThrow('bytes follow its end');
});

test('any bytes are an incremental file or our error', () => {
  const whole = incremental([1, 7, 8], 9);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.nat(255)), { maxLength: 4 }), pieceLengths, (changes, lengths) => {
      const copy = Buffer.from(whole);
      for (const [at, byte] of changes) copy[at] = byte;
      expect(() => onlyAppErrors(() => read(copy, lengths))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});
