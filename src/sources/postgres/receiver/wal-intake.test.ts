import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MadeWal, madeWalOptions } from '../../../../test/support/made-wal.ts';
import { memoryJournal } from '../../../../test/support/memory-journal.ts';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import type { JsonObject } from '../../../base/json.ts';
import type { Lsn } from '../wal/lsn.ts';
import type { WalStop } from '../wal/record-walker.ts';
import { WalDamage, WalIntake } from './wal-intake.ts';

const { signal } = new AbortController();
const { startLsn, segmentBytes, timeline, major, systemIdentifier } = madeWalOptions;
const firstSegment = Number(startLsn / BigInt(segmentBytes));
const branch = { lineage: 'postgresql/1/00000003', segmentBytes, about: {} };

async function open(accepted: readonly Lsn[] = [], isOrigin = true) {
  const journal = memoryJournal();
  const sink = await journal.open(branch, signal);
  const stops: WalStop[] = [];
  const intake = new WalIntake({
    sink,
    start: startLsn,
    timeline,
    major,
    systemIdentifier: String(systemIdentifier),
    isOrigin,
    isAccepted: (lsn) => accepted.includes(lsn),
    onAcceptedDamage: (stop) => void stops.push(stop),
    signal,
  });
  return { journal, sink, intake, stops };
}

async function takeAll(intake: WalIntake, bytes: Uint8Array, lengths = [65_536]): Promise<void> {
  for (const piece of pieces(bytes, lengths))
    await intake.take(intake.received, piece, { serverEnd: 0n, serverTimeMs: 1000 });
  await intake.flush();
}

/** Three segments and a bit, with a record across each border. */
function someWal(): MadeWal {
  const wal = new MadeWal();
  for (let number = 0; wal.bytes.length < 3.2 * segmentBytes; number += 1) {
    if (number % 10 === 3) wal.commit(1_795_000_000_000_000n + BigInt(number));
    else wal.record({ manager: 10, info: 0, body: Buffer.alloc(30_000 + number, number) });
  }
  return wal;
}

const wal = someWal();

test('wherever the stream is cut, the journal holds every byte, and each full segment with its facts', async () => {
  await fc.assert(
    fc.asyncProperty(pieceLengths, async (lengths) => {
      const { journal, sink, intake } = await open();
      await takeAll(intake, wal.bytes, [...lengths, 100_000]);
      await sink.sync(signal);
      const segments = await journal.reader.segments(branch.lineage, signal);
      expect(segments.map(({ isSealed }) => isSealed)).toEqual([true, true, true, false]);
      const kept = segments.map(({ segment }) => journal.bytesOf(branch.lineage, segment));
      expect(Buffer.concat(kept).equals(wal.bytes)).toBe(true);
      let commits = 0;
      for (const { segment } of segments) {
        const facts = await journal.reader.facts(branch.lineage, segment, signal);
        expect(facts).toMatchObject({ timeline, receivedTimeUs: 1_000_000 });
        commits += Number(facts['commits']);
      }
      expect(commits).toBe(Math.ceil((numberOfRecords() - 3) / 10));
    }),
    { numRuns: 8 },
  );
});

function numberOfRecords(): number {
  let number = 0;
  for (const copy = new MadeWal(); copy.bytes.length < 3.2 * segmentBytes; number += 1) {
    if (number % 10 === 3) copy.commit(0n);
    else copy.record({ manager: 10, info: 0, body: Buffer.alloc(30_000 + number) });
  }
  return number;
}

test('bytes that were altered on their way are never kept', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(wal.bytes.length - 1), pieceLengths, async (at, lengths) => {
      const altered = Buffer.from(wal.bytes);
      altered[at] = (altered[at] ?? 0) ^ 0x10;
      const { journal, intake } = await open();
      let damage: unknown;
      try {
        await takeAll(intake, altered, [...lengths, 100_000]);
      } catch (error) {
        damage = error;
      }
      const good = Number(intake.appended - startLsn);
      const kept = Array.from({ length: Math.ceil(good / segmentBytes) }, (_, index) =>
        journal.bytesOf(branch.lineage, firstSegment + index),
      );
      const isSound = Buffer.concat(kept).equals(wal.bytes.subarray(0, good));
      // Nothing guards the padding between records.
      expect(damage === undefined ? isPadding(at) : isSound).toBe(true);
    }),
    { numRuns: 60 },
  );
});

/** Zeros that are no part of a record. */
function isPadding(at: number): boolean {
  return wal.bytes[at] === 0;
}

test('damage that is accepted is kept as it came, told once, and noted in the facts of its segment alone', async () => {
  const altered = Buffer.from(wal.bytes);
  const at = segmentBytes + 500_000;
  altered[at] = (altered[at] ?? 0) ^ 0x10;
  const first = await open();
  const damage = await takeAll(first.intake, altered).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(damage instanceof WalDamage)) throw new Error('no damage was found');
  expect(damage.restart(segmentBytes)).toBe(startLsn + BigInt(segmentBytes));
  const { journal, intake, stops } = await open([damage.lsn]);
  await takeAll(intake, altered);
  expect(stops.map(({ lsn }) => lsn)).toEqual([damage.lsn]);
  const segments = await journal.reader.segments(branch.lineage, signal);
  const kept = segments.slice(0, 3).map(({ segment }) => journal.bytesOf(branch.lineage, segment));
  expect(Buffer.concat(kept).equals(altered.subarray(0, 3 * segmentBytes))).toBe(true);
  const facts = await Promise.all(
    [0, 1, 2].map((index) => journal.reader.facts(branch.lineage, firstSegment + index, signal)),
  );
  expect(facts.map((each) => (each['stop'] as { kind: string } | undefined)?.kind)).toEqual([
    undefined,
    'damaged',
    undefined,
  ]);
  expect(facts[2]).toMatchObject({ startsUnchecked: true });
});

test('bytes that do not follow on the ones before are refused', async () => {
  const { intake } = await open();
  await takeAll(intake, wal.bytes.subarray(0, 1000));
  await expect(intake.take(startLsn + 999n, Buffer.alloc(5), undefined)).rejects.toMatchObject({
    code: 'SOURCE_FAILED',
  });
});

test.each([true, false])(
  'only where a server has nothing more, and is the origin (%s), its time tells up to when all is there',
  async (isOrigin) => {
    const { journal, intake, sink } = await open([], isOrigin);
    const timesAfter = async (): Promise<(JsonObject[string] | undefined)[]> => {
      await intake.flush();
      await sink.sync(signal);
      const segments = await journal.reader.segments(branch.lineage, signal);
      const facts = await Promise.all(
        segments.map(({ segment }) => journal.reader.facts(branch.lineage, segment, signal)),
      );
      return facts.map((one) => one['receivedTimeUs']);
    };
    const half = Math.floor(1.5 * segmentBytes);
    const end = startLsn + BigInt(wal.bytes.length);
    // Catching up: sent later than much that is still to come was written.
    await intake.take(startLsn, wal.bytes.subarray(0, half), { serverEnd: end, serverTimeMs: 1000 });
    expect(await timesAfter()).toEqual([undefined, undefined]);
    await intake.take(intake.received, wal.bytes.subarray(half), { serverEnd: end, serverTimeMs: 2000 });
    expect(await timesAfter()).toEqual([undefined, undefined, undefined, isOrigin ? 2_000_000 : undefined]);
  },
);
