import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { goldenMajors, readGoldens } from '../../../../test/support/postgres-goldens.ts';
import { BackendDecoder, copyHeadBytes, type Frame } from './backend-decoder.ts';

/** Frames of bytes that come in pieces cut at `splits`. */
function framesOf(bytes: Buffer, splits: readonly number[]): Frame[] {
  const decoder = new BackendDecoder();
  const frames: Frame[] = [];
  let from = 0;
  for (const at of [...splits.toSorted((left, right) => left - right), bytes.length]) {
    // Each piece in memory of its own, as a socket delivers it.
    decoder.push(Buffer.from(bytes.subarray(from, at)));
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
    from = at;
  }
  return frames;
}

/** The bytes that were decoded, put together again. */
function messagesOf(frames: readonly Frame[]): Buffer {
  const parts: Buffer[] = [];
  let copy: Buffer[] = [];
  for (const frame of frames) {
    if (frame.kind === 'message') parts.push(encode(frame.type, frame.body));
    else {
      if (frame.isStart) copy = [];
      copy.push(frame.bytes);
      if (frame.isEnd) parts.push(encode('d', Buffer.concat(copy)));
    }
  }
  return Buffer.concat(parts);
}

function encode(type: string, body: Uint8Array): Buffer {
  const head = Buffer.from(`${type}0000`);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

for (const major of goldenMajors) {
  test(`what PostgreSQL ${major} says is decoded without loss wherever it is cut`, () => {
    for (const [, { said }] of readGoldens(major)) {
      const whole = framesOf(said, []);
      expect(messagesOf(whole).equals(said)).toBe(true);
      const everyByte = Array.from(said, (_, at) => at);
      expect(framesOf(said, everyByte)).toEqual(whole);
      const differing = everyByte.filter((at) => !messagesOf(framesOf(said, [at])).equals(said));
      expect(differing).toEqual([]);
    }
  });
}

test('long copy data comes in pieces of which the first holds the head, and is not copied where it need not be', () => {
  const length = fc.oneof(fc.nat(40), fc.integer({ min: copyHeadBytes - 2, max: copyHeadBytes + 2 }), fc.nat(20_000));
  const messages = fc.array(fc.tuple(fc.constantFrom('d', 'N'), length), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(30_000), { maxLength: 12 }), (wanted, splits) => {
      const said = Buffer.concat(wanted.map(([type, bytes], number) => encode(type, Buffer.alloc(bytes, number + 1))));
      const cuts = splits.filter((at) => at <= said.length);
      const frames = framesOf(said, cuts);
      expect(messagesOf(frames).equals(said)).toBe(true);
      const copies = wanted.filter(([type]) => type === 'd').map(([, bytes]) => bytes);
      const starts = frames.filter((frame) => frame.kind === 'copy' && frame.isStart);
      expect(starts.length).toBe(copies.length);
      starts.forEach((frame, number) => {
        const bytes = copies[number] ?? 0;
        const isHeld = (frame.kind === 'copy' ? frame.bytes.length : 0) >= Math.min(bytes, copyHeadBytes);
        expect(isHeld).toBe(true);
      });
    }),
  );
  const chunk = encode('d', Buffer.alloc(30_000, 7)).subarray(0, 20_000);
  const decoder = new BackendDecoder();
  decoder.push(chunk);
  expect(decoder.next()).toMatchObject({ isStart: true, isEnd: false, bytes: { buffer: chunk.buffer } });
});

test('a length is not believed before the bytes are there', () => {
  const decoder = new BackendDecoder();
  const announced = Buffer.from('D0000');
  announced.writeInt32BE(200 * 1024 * 1024, 1);
  decoder.push(announced);
  const before = process.memoryUsage().arrayBuffers;
  for (let number = 0; number < 100; number += 1) {
    expect(decoder.next()).toBe(undefined);
    decoder.push(Buffer.alloc(1000));
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
});

test.each([
  ['of an unknown type', Buffer.from('x\0\0\0\u0004')],
  ['shorter than its own length', Buffer.from('Z\0\0\0\u0003')],
  ['of a negative length', encode('d', Buffer.alloc(0)).fill(0xff, 1)],
  ['longer than any', Buffer.from('E\u007f\0\0\0')],
  ['of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
])('a message %s is refused', (_, bytes) => {
  const decoder = new BackendDecoder();
  decoder.push(bytes);
  expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'SOURCE_FAILED' }));
});

test('any bytes in any pieces, and what servers say with bytes altered, yield frames or our error', () => {
  const said = goldenMajors.map((major) =>
    Buffer.concat([...readGoldens(major).values()].map((golden) => golden.said)),
  );
  const altered = fc
    .tuple(fc.constantFrom(...said), fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 4 }))
    .map(([bytes, changes]) => {
      const copy = Buffer.from(bytes.subarray(0, 4_000));
      for (const [at, value] of changes) copy[at] = value;
      return copy;
    });
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    altered,
  );
  fc.assert(
    fc.property(noise, fc.array(fc.nat(4_000), { maxLength: 6 }), (bytes, splits) => {
      let frames: Frame[] = [];
      onlyAppErrors(() => {
        frames = framesOf(
          bytes,
          splits.filter((at) => at <= bytes.length),
        );
      });
      expect(frames.length).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 2_000 },
  );
});
