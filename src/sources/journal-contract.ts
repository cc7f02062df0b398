// What journal.ts promises, as tests: every place that takes in and gives back journals runs them, so that sources may rely
// on it whichever they are given.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import type { JournalBranch, JournalPosition, JournalReader, JournalSink, JournalTarget } from './journal.ts';

/** Where the journals of one component are kept; fresh for each test. */
export interface JournalPlace extends AsyncDisposable {
  /** A receiver as it starts on the usual machine; the one before has been disposed of or killed. */
  receiver(): Promise<Receiver>;
  /** A receiver on another machine, which takes over. */
  receiverElsewhere(): Promise<Receiver>;
  readonly reader: JournalReader;
  /** Resolves once all that is durable shows to the reader. */
  settle(): Promise<void>;
}

export interface Receiver extends AsyncDisposable {
  readonly target: JournalTarget;
  /** Dies as a killed process does: nothing is written any more, what was not durable is gone. */
  kill(): Promise<void>;
}

export function describeJournal(name: string, open: () => Promise<JournalPlace>): void {
  describe(`${name} keeps the journal contract`, () => {
    describeTaking(open);
    describeAgain(open);
    describeReceivers(open);
  });
}

function describeTaking(open: () => Promise<JournalPlace>): void {
  test('a fresh place keeps no branch, and a fresh branch has nothing to resume at', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    expect(await receiver.target.branches(never)).toEqual([]);
    await using sink = await receiver.target.open(branchOf(1), never);
    expect(sink.branch).toEqual(branchOf(1));
    expect(sink.resumeAt()).toBeUndefined();
    expect(await sink.sync(never)).toBeUndefined();
    expect(await place.reader.branches(never)).toEqual([]);
  });

  test('what was appended and synced is read back, the open segment as a beginning', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await appendAll(sink, at(7, 0), segmentContent(7));
    await sink.seal(7, { commits: 3 }, never);
    await appendAll(sink, at(8, 0), segmentContent(8).subarray(0, 100));
    await syncedTo(sink, at(8, 100));
    await place.settle();
    expect(await place.reader.segments('test/1', never)).toEqual([
      { segment: 7, sizeBytes: segmentBytes, isSealed: true },
      { segment: 8, sizeBytes: 100, isSealed: false },
    ]);
    expect(await isKept(place.reader, 7)).toBe(true);
    expect(await isKept(place.reader, 8, 100)).toBe(true);
    expect(await place.reader.facts('test/1', 7, never)).toEqual({ commits: 3 });
  });

  test('a branch shows with what it is about, its start and its end', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await fill(sink, 7);
    await appendAll(sink, at(8, 0), Buffer.alloc(10));
    await sink.sync(never);
    await place.settle();
    const expected = [{ ...branchOf(1), start: at(7, 0), end: at(8, 10) }];
    expect(await place.reader.branches(never)).toEqual(expected);
    expect(await receiver.target.branches(never)).toEqual(expected);
  });

  test('facts of the open segment are the last that were described, and those of the seal replace them', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    for (const commits of [1, 2]) {
      await appendAll(sink, at(3, (commits - 1) * 10), segmentContent(3).subarray((commits - 1) * 10, commits * 10));
      sink.describe(3, { commits });
      await sink.sync(never);
    }
    await place.settle();
    expect(await place.reader.facts('test/1', 3, never)).toEqual({ commits: 2 });
    await appendAll(sink, at(3, 20), segmentContent(3).subarray(20));
    await sink.seal(3, { commits: 9, last: 'x' }, never);
    await place.settle();
    expect(await place.reader.facts('test/1', 3, never)).toEqual({ commits: 9, last: 'x' });
  });

  test('what is described beforehand holds from the bytes on that it is about', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    for (const end of [10, 20, 30]) {
      sink.describe(3, { end }, end);
      await appendAll(sink, at(3, end - 10), segmentContent(3).subarray(end - 10, end));
    }
    sink.describe(3, { end: 50 }, 50);
    await appendAll(sink, at(3, 30), segmentContent(3).subarray(30, 40));
    await sink.sync(never);
    await place.settle();
    expect(await place.reader.facts('test/1', 3, never)).toEqual({ end: 30 });
  });

  test('bytes come back the same however they are cut, synced and described', async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, fc.integer(), async (sizes, seed) => {
        const random = seededRandom(seed);
        await using place = await open();
        await using receiver = await place.receiver();
        await using sink = await receiver.target.open(branchOf(1), never);
        const synced: (readonly [JournalPosition | undefined, JournalPosition])[] = [];
        let end = at(0, 0);
        for (const size of sizes) {
          const bytes = segmentContent(end.segment).subarray(end.offset, Math.min(segmentBytes, end.offset + size));
          await appendAll(sink, end, bytes);
          end = at(end.segment, end.offset + bytes.length);
          if (random() < 0.3) sink.describe(end.segment, { end: end.offset });
          if (random() < 0.5) synced.push([await sink.sync(never), end]);
          if (end.offset < segmentBytes) continue;
          await sink.seal(end.segment, {}, never);
          end = at(end.segment + 1, 0);
        }
        await syncedTo(sink, end);
        await place.settle();
        expect(synced.filter(([told, taken]) => told !== undefined && compare(told, taken) > 0)).toEqual([]);
        for (let segment = 0; segment < end.segment; segment += 1)
          expect(await isKept(place.reader, segment)).toBe(true);
        expect(await isKept(place.reader, end.segment, end.offset)).toBe(end.offset > 0);
      }),
      { numRuns: 12 },
    );
  });

  test('the memory of what was appended may be used again at once', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    const memory = Buffer.from(segmentContent(1));
    await sink.append(at(1, 0), memory, never);
    memory.fill(0xee);
    await sink.sync(never);
    await place.settle();
    expect(await isKept(place.reader, 1)).toBe(true);
  });

  test('a short segment may end a branch, and the next branch stands beside it, newest last', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    {
      await using sink = await receiver.target.open(branchOf(1), never);
      await fill(sink, 4);
      await appendAll(sink, at(5, 0), segmentContent(5).subarray(0, 33));
      await sink.seal(5, { end: true }, never);
    }
    await using sink = await receiver.target.open(branchOf(2), never);
    expect(sink.resumeAt()).toBeUndefined();
    await appendAll(sink, at(5, 0), segmentContent(5).subarray(0, 50));
    await sink.sync(never);
    await place.settle();
    const branches = await place.reader.branches(never);
    expect(branches.map(({ lineage, about }) => ({ lineage, about }))).toEqual([
      { lineage: 'test/1', about: { history: 'of 1' } },
      { lineage: 'test/2', about: { history: 'of 2' } },
    ]);
    expect(await place.reader.segments('test/1', never)).toEqual([
      { segment: 4, sizeBytes: segmentBytes, isSealed: true },
      { segment: 5, sizeBytes: 33, isSealed: true },
    ]);
    expect(await receiver.target.branches(never)).toEqual(branches);
  });

  test('a gap shows as missing numbers, what was before it as a beginning, and the journal goes on behind it', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await fill(sink, 1);
    await appendAll(sink, at(2, 0), segmentContent(2).subarray(0, 9));
    await sink.gap({ from: at(2, 9), to: at(6, 0), reason: 'the server removed it' }, never);
    expect(sink.resumeAt()).toEqual(at(6, 0));
    await fill(sink, 6);
    await syncedTo(sink, at(7, 0));
    await place.settle();
    expect(await place.reader.segments('test/1', never)).toEqual([
      { segment: 1, sizeBytes: segmentBytes, isSealed: true },
      { segment: 2, sizeBytes: 9, isSealed: false },
      { segment: 6, sizeBytes: segmentBytes, isSealed: true },
    ]);
  });

  test('what is not kept is not found', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await fill(sink, 1);
    await place.settle();
    await expect(place.reader.read('test/1', 2, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(place.reader.facts('test/1', 0, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(place.reader.segments('test/9', never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(place.reader.read('test/9', 1, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('an aborted signal ends each call with a rejection, and the journal goes on afterwards', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await appendAll(sink, at(1, 0), segmentContent(1));
    const aborted = AbortSignal.abort();
    await expect(sink.append(at(1, 0), segmentContent(1), aborted)).rejects.toBeInstanceOf(Error);
    await expect(sink.sync(aborted)).rejects.toBeInstanceOf(Error);
    await expect(sink.seal(1, {}, aborted)).rejects.toBeInstanceOf(Error);
    await expect(receiver.target.branches(aborted)).rejects.toBeInstanceOf(Error);
    await expect(place.reader.branches(aborted)).rejects.toBeInstanceOf(Error);
    await sink.seal(1, {}, never);
    await syncedTo(sink, at(2, 0));
  });

  test('an append beyond the end, or across the border of a segment, is a fault of the program', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await appendAll(sink, at(1, 0), Buffer.alloc(10));
    for (const position of [at(1, 11), at(2, 0), at(1, segmentBytes - 1)])
      await expect(sink.append(position, Buffer.alloc(2), never)).rejects.toMatchObject({ name: 'AssertionError' });
  });
}

function describeAgain(open: () => Promise<JournalPlace>): void {
  test('bytes that come again are passed over, and may bring new ones along', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await fill(sink, 1);
    await appendAll(sink, at(2, 0), segmentContent(2).subarray(0, 100));
    await sink.sync(never);
    await fill(sink, 1);
    await appendAll(sink, at(2, 50), segmentContent(2).subarray(50, 200));
    await appendAll(sink, at(2, 10), segmentContent(2).subarray(10, 20));
    await syncedTo(sink, at(2, 200));
    await place.settle();
    expect(await isKept(place.reader, 1)).toBe(true);
    expect(await isKept(place.reader, 2, 200)).toBe(true);
  });

  test('other bytes for a place that is kept are refused, in the open segment and in a sealed one', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await fill(sink, 1);
    await appendAll(sink, at(2, 0), segmentContent(2).subarray(0, 100));
    await sink.sync(never);
    for (const [segment, offset] of [
      [1, segmentBytes - 5],
      [2, 98],
    ] as const) {
      const other = Buffer.from(segmentContent(segment).subarray(offset, offset + 5));
      other[1] = (other[1] ?? 0) ^ 1;
      await expect(sink.append(at(segment, offset), other, never)).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
    }
    await place.settle();
    expect(await isKept(place.reader, 1)).toBe(true);
    expect(await isKept(place.reader, 2, 100)).toBe(true);
  });

  test('nothing comes behind the end of a branch that was sealed short', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    await appendAll(sink, at(1, 0), segmentContent(1).subarray(0, 40));
    await sink.seal(1, {}, never);
    await sink.append(at(1, 0), segmentContent(1).subarray(0, 40), never);
    await sink.seal(1, { other: 'is passed over' }, never);
    await expect(sink.append(at(1, 40), segmentContent(1).subarray(40, 50), never)).rejects.toMatchObject({
      code: 'JOURNAL_FORKED',
    });
    await place.settle();
    expect(await place.reader.facts('test/1', 1, never)).toEqual({});
  });

  test('a receiver that starts again goes on where it stopped', async () => {
    await using place = await open();
    {
      await using receiver = await place.receiver();
      await using sink = await receiver.target.open(branchOf(1), never);
      await fill(sink, 1);
      await appendAll(sink, at(2, 0), segmentContent(2).subarray(0, 100));
      await sink.sync(never);
    }
    await using receiver = await place.receiver();
    expect(await receiver.target.branches(never)).toEqual([{ ...branchOf(1), start: at(1, 0), end: at(2, 100) }]);
    await using sink = await receiver.target.open(branchOf(1), never);
    expect(sink.resumeAt()).toEqual(at(2, 100));
    await fill(sink, 2);
    await syncedTo(sink, at(3, 0));
    await place.settle();
    expect(await isKept(place.reader, 2)).toBe(true);
  });

  test('after a death all that was told to be durable is still there, and nothing that was never sent', async () => {
    await using place = await open();
    {
      await using receiver = await place.receiver();
      const sink = await receiver.target.open(branchOf(1), never);
      await fill(sink, 1);
      await appendAll(sink, at(2, 0), segmentContent(2).subarray(0, 100));
      await syncedTo(sink, at(2, 100));
      await appendAll(sink, at(2, 100), segmentContent(2).subarray(100, 300));
      await receiver.kill();
      await expect(sink.sync(never)).rejects.toBeInstanceOf(Error);
    }
    await using receiver = await place.receiver();
    await using sink = await receiver.target.open(branchOf(1), never);
    const resumed = sink.resumeAt();
    expect(resumed?.segment).toBe(2);
    expect(resumed?.offset).toBeGreaterThanOrEqual(100);
    expect(resumed?.offset).toBeLessThanOrEqual(300);
    await fill(sink, 2);
    await place.settle();
    expect(await isKept(place.reader, 1)).toBe(true);
    expect(await isKept(place.reader, 2)).toBe(true);
  });
}

function describeReceivers(open: () => Promise<JournalPlace>): void {
  test('a receiver elsewhere goes on where the place ends, and the one before it is fenced', async () => {
    await using place = await open();
    await using first = await place.receiver();
    await using fenced = await first.target.open(branchOf(1), never);
    await fill(fenced, 1);
    await appendAll(fenced, at(2, 0), segmentContent(2).subarray(0, 100));
    await fenced.sync(never);
    await place.settle();

    await using second = await place.receiverElsewhere();
    await using sink = await second.target.open(branchOf(1), never);
    expect(sink.resumeAt()).toEqual(at(2, 100));
    await fill(sink, 1);
    await fill(sink, 2);

    await expect(appendUntilRefused(fenced)).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
    expect(fenced.signal.aborted).toBe(true);
    expect(fenced.signal.reason).toMatchObject({ code: 'JOURNAL_FENCED' });
    await expect(fenced.sync(never)).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
    expect(sink.signal.aborted).toBe(false);
    await syncedTo(sink, at(3, 0));
    await place.settle();
    expect(await isKept(place.reader, 2)).toBe(true);
  });

  test('a branch that was left is taken up again', async () => {
    await using place = await open();
    await using receiver = await place.receiver();
    for (const number of [1, 2, 1]) {
      await using sink = await receiver.target.open(branchOf(number), never);
      const start = sink.resumeAt() ?? at(4, 0);
      await appendAll(sink, start, segmentContent(4).subarray(start.offset, start.offset + 10));
      await sink.sync(never);
    }
    await place.settle();
    expect(await place.reader.read('test/1', 4, never)).toEqual(segmentContent(4).subarray(0, 20));
    expect(await place.reader.read('test/2', 4, never)).toEqual(segmentContent(4).subarray(0, 10));
  });
}

const never = new AbortController().signal;
const segmentBytes = 4096;
const at = (segment: number, offset: number): JournalPosition => ({ segment, offset });

const branchOf = (number: number): JournalBranch => ({
  lineage: `test/${number}`,
  segmentBytes,
  about: { history: `of ${number}` },
});

/** The same for a number each time, and unlike that of any other. */
function segmentContent(segment: number): Buffer {
  const random = seededRandom(segment + 1);
  return Buffer.from(Array.from({ length: segmentBytes }, () => Math.floor(random() * 256)));
}

async function appendAll(sink: JournalSink, position: JournalPosition, bytes: Uint8Array): Promise<void> {
  const half = Math.floor(bytes.length / 2);
  await sink.append(position, bytes.subarray(0, half), never);
  await sink.append(at(position.segment, position.offset + half), bytes.subarray(half), never);
}

/** A place that acknowledges by a repository tells so a while later. */
async function syncedTo(sink: JournalSink, position: JournalPosition): Promise<void> {
  await expect.poll(() => sink.sync(never), { timeout: 10_000, interval: 5 }).toEqual(position);
}

const compare = (left: JournalPosition, right: JournalPosition): number =>
  left.segment - right.segment || left.offset - right.offset;

async function fill(sink: JournalSink, segment: number): Promise<void> {
  await appendAll(sink, at(segment, 0), segmentContent(segment));
  await sink.seal(segment, { segment }, never);
}

/** What a receiver does that does not know yet that it was fenced: goes on for a while. */
async function appendUntilRefused(sink: JournalSink): Promise<void> {
  for (let offset = 100; offset < segmentBytes; offset += 1) {
    await sink.append(at(2, offset), segmentContent(2).subarray(offset, offset + 1), never);
    await sink.sync(never);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether the reader has exactly the first bytes of that segment. */
async function isKept(reader: JournalReader, segment: number, sizeBytes = segmentBytes): Promise<boolean> {
  try {
    const bytes = await reader.read('test/1', segment, never);
    return bytes.equals(segmentContent(segment).subarray(0, sizeBytes));
  } catch (error) {
    if (isAppError(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
