import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../test/support/only-app-errors.ts';
import { AppError } from '../../base/errors.ts';
import { ReplicationStream, type ReplicationEvent } from './replication-stream.ts';

const mark = 'x'.repeat(39) + 'y';
const opening = '+PONG\r\n-ERR unknown\r\n\n\n+FULLRESYNC 7e2eb4c5 42\r\n\n\n';

/** Payload joined, all else as it came. */
function read(text: Buffer, splits: readonly number[]): { events: ReplicationEvent[]; payload: Buffer } {
  const stream = new ReplicationStream();
  const events: ReplicationEvent[] = [];
  const payload: Buffer[] = [];
  let from = 0;
  for (const at of [...splits.toSorted((left, right) => left - right), text.length]) {
    for (const event of stream.push(text.subarray(from, at))) {
      if (event.kind === 'payload') payload.push(event.bytes);
      else events.push(event);
    }
    from = at;
  }
  stream.finish();
  return { events, payload: Buffer.concat(payload) };
}

test.each([
  ['of a stated length', (body: Buffer) => Buffer.concat([Buffer.from(`$${body.length}\r\n`), body])],
  ['ended by a mark', (body: Buffer) => Buffer.concat([Buffer.from(`$EOF:${mark}\r\n`), body, Buffer.from(mark)])],
])('data %s comes out whole wherever the bytes are split', (_, frame) => {
  const body = fc.array(fc.constantFrom('x', 'y', '\n', 'x'.repeat(20)), { maxLength: 12 });
  fc.assert(
    fc.property(body, fc.array(fc.nat(250), { maxLength: 8 }), (parts, splits) => {
      const text = parts.join('');
      fc.pre(!(text + mark.slice(0, -1)).includes(mark) && (text + mark).indexOf(mark) === text.length);
      const { events, payload } = read(Buffer.concat([Buffer.from(opening), frame(Buffer.from(text))]), splits);
      expect(payload.toString()).toBe(text);
      expect(events).toEqual([
        { kind: 'status', text: 'PONG' },
        { kind: 'error', text: 'ERR unknown' },
        { kind: 'resync', replicationId: '7e2eb4c5', offset: '42' },
        { kind: 'end' },
      ]);
    }),
  );
});

test.each([
  ['at once', '', 'before it sent any data'],
  ['before its data', opening, 'before it sent any data'],
  ['within a counted form', `${opening}$10\r\nabc`, 'in the middle of its data'],
  ['within a marked form', `${opening}$EOF:${mark}\r\nabc${mark.slice(0, 39)}z`, 'in the middle of its data'],
])('a connection closed %s is the affair of the server, not damage of the data', (_, text, when) => {
  expect(() => read(Buffer.from(text), [])).toThrow(
    expect.objectContaining({
      code: 'SOURCE_FAILED',
      message: `the server closed the connection ${when}`,
      hint: expect.stringMatching(/^Look .*log/),
    }),
  );
});

test.each([
  ['of another protocol', 'HTTP/1.1 400 Bad Request\r\n'],
  ['with data before it was announced', '$10\r\n'],
  ['with a length that is none', `${opening}$-1\r\n`],
])('an answer %s is refused', (_, text) => {
  expect(() => new ReplicationStream().push(Buffer.from(text))).toThrow(AppError);
});

test('any bytes in any pieces yield events or our error', () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom('$', '+', '-', '\n', opening, `$EOF:${mark}\r\n`, mark),
  );
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 12 }), (pieces) => {
      const stream = new ReplicationStream();
      const pushAll = () => {
        for (const piece of pieces) stream.push(Buffer.from(piece as string));
        stream.finish();
      };
      expect(() => onlyAppErrors(pushAll)).not.toThrow();
    }),
    { numRuns: 2000 },
  );
});
