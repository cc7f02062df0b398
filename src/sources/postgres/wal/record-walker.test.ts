import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MadeWal, madeWalOptions } from '../../../../test/support/made-wal.ts';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import type { Lsn } from './lsn.ts';
import type { WalEvent } from './record-event.ts';
import { RecordWalker, type RecordWalkerOptions } from './record-walker.ts';

const time = 1_795_000_000_000_000n;

function walk(bytes: Uint8Array, options: RecordWalkerOptions = madeWalOptions, lengths = [bytes.length || 1]) {
  const events: WalEvent[] = [];
  const walker = new RecordWalker(options, (event) => events.push(event));
  for (const piece of pieces(bytes, lengths)) walker.push(piece);
  return { walker, events };
}

const body = fc
  .oneof(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 9000 }), fc.constantFrom(70_000, 1_200_000))
  .map((length) => Buffer.alloc(length, length % 251));
const action = fc.oneof(
  { weight: 12, arbitrary: body.map((bytes) => ({ kind: 'record', bytes }) as const) },
  { weight: 6, arbitrary: fc.nat(1e9).map((us) => ({ kind: 'commit', us }) as const) },
  { weight: 2, arbitrary: fc.string({ maxLength: 15 }).map((name) => ({ kind: 'point', name }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'switch' } as const) },
  { weight: 1, arbitrary: body.map((bytes) => ({ kind: 'cut off', bytes }) as const) },
);

interface Told {
  readonly lsn: Lsn;
  readonly what: string;
}

function write(actions: readonly (typeof action extends fc.Arbitrary<infer A> ? A : never)[]) {
  const wal = new MadeWal();
  const told: Told[] = [];
  let records = 0;
  let end: Lsn | undefined;
  for (const one of actions) {
    if (one.kind === 'cut off') {
      if (one.bytes.length < 9000) continue;
      wal.record({ manager: 10, info: 0, body: one.bytes }, one.bytes.length - 8200);
      wal.overwriteRest();
      continue;
    }
    records += 1;
    if (one.kind === 'record') end = wal.record({ manager: 10, info: 0x40, body: one.bytes }).endLsn;
    else if (one.kind === 'switch') {
      told.push({ lsn: wal.switchSegment().lsn, what: 'switch' });
      end = wal.end;
    } else {
      const isCommit = one.kind === 'commit';
      const place = isCommit ? wal.commit(time + BigInt(one.us)) : wal.restorePoint(one.name, time);
      end = place.endLsn;
      told.push({
        lsn: place.lsn,
        what: isCommit ? `commit ${time + BigInt(one.us)}` : `point ${one.name.split('\0')[0]}`,
      });
    }
  }
  return { wal, told, records, end };
}

function tellingOf(event: WalEvent): Told {
  const { lsn } = event;
  if (event.kind === 'transaction-end') return { lsn, what: `${event.outcome} ${event.timeUs}` };
  return { lsn, what: event.kind === 'restore-point' ? `point ${event.name}` : event.kind };
}

test('what was written is what is told, wherever the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), pieceLengths, (actions, lengths) => {
      const { wal, told, records, end } = write(actions);
      const { walker, events } = walk(wal.bytes, undefined, lengths);
      expect(walker.stop).toBeUndefined();
      expect(events.map(tellingOf)).toEqual(told);
      expect({ records: walker.records, end: walker.recordsEnd }).toEqual({ records, end });
      expect(walker.position).toBe(wal.end);
    }),
    { numRuns: 60 },
  );
});

test('a walk from any page on passes over the record at hand and finds all that follow', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 30 }), fc.nat(), (actions, page) => {
      // A page emptied by a switch has no header to begin at.
      const { wal, told } = write(actions.filter(({ kind }) => kind !== 'switch'));
      const { bytes } = wal;
      const at = (page % (Math.floor(bytes.length / 8192) + 1)) * 8192;
      const startLsn = madeWalOptions.startLsn + BigInt(at);
      const { walker, events } = walk(bytes.subarray(at), { ...madeWalOptions, startLsn });
      expect(walker.stop).toBeUndefined();
      expect(events.map(tellingOf)).toEqual(told.filter(({ lsn }) => lsn >= startLsn));
    }),
    { numRuns: 60 },
  );
});

test('any byte altered is noticed at its place, and what lies before stays valid', () => {
  const { wal, end, told } = write([
    { kind: 'record', bytes: Buffer.alloc(30_000, 1) },
    { kind: 'commit', us: 5 },
    { kind: 'record', bytes: Buffer.alloc(100, 2) },
  ]);
  const commitEnd = Number((told[0]?.lsn ?? 0n) - madeWalOptions.startLsn) + 34;
  const afterFirstHeader = fc.integer({ min: 40, max: wal.bytes.length - 1 });
  fc.assert(
    fc.property(afterFirstHeader, fc.integer({ min: 1, max: 255 }), (at, change) => {
      const { bytes } = wal;
      bytes[at] = bytes.readUInt8(at) ^ change;
      const { walker } = walk(bytes, undefined, [777]);
      const inPage = at % 8192;
      const isUnused = inPage >= 20 && inPage < 24 && at > 8192;
      const isFreeFlag = inPage === 2 && change === 4;
      const matters = !isUnused && !isFreeFlag && !(at >= commitEnd && at < commitEnd + 6);
      // A length that grew waits for bytes that never come; all else stops the walk.
      expect(walker.stop !== undefined || walker.unfinishedRecord !== undefined).toBe(matters);
      expect((walker.recordsEnd ?? 0n) < madeWalOptions.startLsn + BigInt(at) + 8n || !matters).toBe(true);
      expect(matters || walker.recordsEnd === end).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('a bad checksum is told with both sums and its place', () => {
  const { wal } = write([{ kind: 'record', bytes: Buffer.alloc(10, 1) }]);
  const bytes = wal.bytes;
  bytes[70] = 9;
  expect(walk(bytes).walker.stop).toMatchObject({
    kind: 'damaged',
    lsn: madeWalOptions.startLsn + 40n,
    message: expect.stringMatching(
      /^a record of 34 bytes that was altered: its bytes have the CRC [0-9a-f]{8}, its header says [0-9a-f]{8} at 1\/300028$/,
    ),
  });
});

test('zeros behind the last record and pages of an older use are where valid WAL ends, not damage', () => {
  const { wal, end } = write([{ kind: 'commit', us: 5 }]);
  const blank = Buffer.concat([wal.bytes, Buffer.alloc(20_000)]);
  const { walker: atBlank } = walk(blank);
  expect(atBlank.stop).toMatchObject({ kind: 'blank', lsn: end });
  expect(atBlank.recordsEnd).toBe(end);

  const older = new MadeWal({ ...madeWalOptions, startLsn: madeWalOptions.startLsn - 2n ** 20n });
  older.record({ manager: 10, info: 0, body: Buffer.alloc(40_000, 7) });
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(9000, 3) }, 8192 - 80);
  const bytes = Buffer.concat([wal.bytes.subarray(0, 8192), older.bytes.subarray(8192)]);
  const { walker: atStale } = walk(bytes);
  expect(atStale.stop).toEqual({
    kind: 'stale',
    lsn: madeWalOptions.startLsn + 8192n,
    message: 'a page left over from 1/202000 at 1/302000',
  });
  expect(atStale.recordsEnd).toBe(end);
});

test.each([
  [{ major: 17 }, 'its WAL is of PostgreSQL 18, not of 17'],
  [{ systemIdentifier: 1n }, 'the segment belongs to the system 7394000000000000001, not to 1'],
  [{ segmentBytes: 2 ** 24, startLsn: 0x1_0000_0000n }, 'the page says that it belongs to 1/300000'],
  [{ timeline: 2 }, 'the page names timeline 3, which is not 1 to 2'],
])('WAL that is not the expected one is refused: %o', (change, message) => {
  const { wal } = write([{ kind: 'commit', us: 5 }]);
  const { walker } = walk(wal.bytes, { ...madeWalOptions, ...change });
  expect(walker.stop).toMatchObject({ kind: 'damaged', message: expect.stringContaining(message) });
});

test("a timeline's first segment begins with pages of its parent, but never goes back to them", () => {
  const wal = new MadeWal();
  wal.timeline = 1;
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(10_000) });
  wal.timeline = 3;
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(10_000) });
  expect(walk(wal.bytes).walker.stop).toBeUndefined();
  wal.timeline = 1;
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(10_000) });
  expect(walk(wal.bytes).walker.stop).toMatchObject({
    message: expect.stringContaining('timeline 1, which is not 3 to 3'),
  });
});

test('the time of a commit is found behind an origin and a top-level transaction', () => {
  const wal = new MadeWal();
  wal.commit(time, Buffer.of(253, 1, 0, 252, 9, 0, 0, 0));
  wal.commit(time + 1n, Buffer.of(253, 1, 0));
  expect(walk(wal.bytes).events).toMatchObject([{ timeUs: Number(time) }, { timeUs: Number(time) + 1 }]);
});

test('positions beyond what a number holds are exact', () => {
  const startLsn = 0xfffffff0_00000000n;
  const wal = new MadeWal({ ...madeWalOptions, startLsn });
  const first = wal.commit(time);
  const second = wal.commit(time);
  const { events, walker } = walk(wal.bytes, wal.options);
  expect(events.map(({ lsn }) => lsn)).toEqual([first.lsn, second.lsn]);
  expect(walker.recordsEnd).toBe(second.endLsn);
  expect(walker.lastRecord).toBe(second.lsn);
});

test('any bytes end in a stop or in waiting for more, never in anything else', () => {
  const { bytes } = write([
    { kind: 'commit', us: 5 },
    { kind: 'point', name: 'p' },
    { kind: 'record', bytes: Buffer.alloc(9000, 1) },
    { kind: 'switch' },
    { kind: 'commit', us: 5 },
  ]).wal;
  const spoilt = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  const near = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.oneof(spoilt, near), pieceLengths, (changes, lengths) => {
      const copy = Buffer.from(bytes.subarray(0, 40_000));
      for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
      expect(() => onlyAppErrors(() => walk(copy, undefined, lengths))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});
