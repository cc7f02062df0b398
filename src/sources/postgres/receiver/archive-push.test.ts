import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { recordEvents, until } from '../../../../test/support/journal-events.ts';
import { MadeWal, madeWalOptions } from '../../../../test/support/made-wal.ts';
import { memoryJournal, type MemoryJournal } from '../../../../test/support/memory-journal.ts';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { systemClock } from '../../../base/clock.ts';
import { segmentName } from '../wal/segment-name.ts';
import { receivePushed } from './archive-intake.ts';
import { acceptFile } from './archive-push.ts';

const { startLsn, segmentBytes } = madeWalOptions;
const first = Number(startLsn / BigInt(segmentBytes));
const history = '1\t0/3000060\tno recovery target specified\n\n2\t1/200000\tno recovery target specified\n';

/** Segments of one server, with records across their borders; the last is not full. */
function segmentsOf(count: number, options = madeWalOptions, filler = 1): Buffer[] {
  const wal = new MadeWal(options);
  for (let number = 0; wal.bytes.length < count * segmentBytes; number += 1) {
    if (number % 10 === 3) wal.commit(1_795_000_000_000_000n + BigInt(number));
    else wal.record({ manager: 10, info: 0, body: Buffer.alloc(30_000 + number, number * filler) });
  }
  return Array.from({ length: count }, (_, index) =>
    wal.bytes.subarray(index * segmentBytes, (index + 1) * segmentBytes),
  );
}

interface Place extends AsyncDisposable {
  readonly incoming: string;
  /** Writes a file as into pg_wal and hands it over. */
  push(name: string, bytes: string | Uint8Array): Promise<'kept' | 'known'>;
  pushSegment(index: number, bytes: Uint8Array): Promise<'kept' | 'known'>;
  waiting(): Promise<string[]>;
}

async function place(): Promise<Place> {
  const folder = await temporaryFolder();
  const incoming = join(folder.path, 'incoming');
  let number = 0;
  const push = async (name: string, bytes: string | Uint8Array): Promise<'kept' | 'known'> => {
    const wal = join(folder.path, `wal-${(number += 1)}`);
    await mkdir(wal);
    await writeFile(join(wal, name), bytes);
    return acceptFile(join(wal, name), incoming);
  };
  return {
    incoming,
    push,
    pushSegment: (index, bytes) => push(segmentName(3, first + index, segmentBytes), bytes),
    waiting: async () => (await readdir(join(incoming, 'files'))).toSorted(),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function receiveFrom({ incoming }: Place, journal: MemoryJournal, { holeWaitMs = 60_000, clock = systemClock } = {}) {
  const events = recordEvents();
  const stop = new AbortController();
  const options = { folder: incoming, target: journal, events, clock, pollMs: 10, holeWaitMs };
  const ended = receivePushed(options, stop.signal);
  return {
    events,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

async function sealed(journal: MemoryJournal): Promise<number[]> {
  const [branch] = await journal.branches(new AbortController().signal);
  if (branch === undefined) return [];
  const segments = await journal.reader.segments(branch.lineage, new AbortController().signal);
  return segments.filter(({ isSealed }) => isSealed).map(({ segment }) => segment - first);
}

const segments = segmentsOf(4);
const [zero = Buffer.alloc(0), one = Buffer.alloc(0), two = Buffer.alloc(0), three = Buffer.alloc(0)] = segments;

test('a segment is kept once, byte for byte, and known when it comes again', async () => {
  await using at = await place();
  expect(await at.pushSegment(0, zero)).toBe('kept');
  expect(await at.pushSegment(0, zero)).toBe('known');
  const [name = ''] = await at.waiting();
  expect((await readFile(join(at.incoming, 'files', name))).equals(zero)).toBe(true);
});

test('of many that hand over the same file at once one keeps it and all succeed', async () => {
  await using at = await place();
  const results = await Promise.all(Array.from({ length: 8 }, () => at.pushSegment(0, zero)));
  expect(results.filter((result) => result === 'kept').length).toBe(1);
  expect(await readdir(join(at.incoming, 'unfinished'))).toEqual([]);
});

test('of two that hand over other bytes under one name at once one is refused', async () => {
  await using at = await place();
  const [, other = Buffer.alloc(0)] = [0, ...segmentsOf(1, madeWalOptions, 7)];
  const results = await Promise.allSettled([at.pushSegment(0, zero), at.pushSegment(0, other)]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'JOURNAL_FORKED' } });
});

test('what is no file of this server is refused, and nothing of it stays', async () => {
  await using at = await place();
  await at.pushSegment(0, zero);
  const [stranger = Buffer.alloc(0)] = segmentsOf(1, { ...madeWalOptions, systemIdentifier: 42n });
  const [ofOtherMajor = Buffer.alloc(0)] = segmentsOf(1, { ...madeWalOptions, major: 15 });
  for (const [name, bytes, fact] of [
    [segmentName(3, first + 1, segmentBytes), stranger, /belongs to the system 42/],
    [segmentName(3, first + 1, segmentBytes), ofOtherMajor, /PostgreSQL 15/],
    [segmentName(3, first + 2, segmentBytes), one, /it begins at/],
    [segmentName(2, first + 1, segmentBytes), one, /timeline 3/],
    [segmentName(3, first + 1, segmentBytes), one.subarray(0, 5000), /5000 bytes/],
    [segmentName(3, first + 1, segmentBytes), Buffer.alloc(segmentBytes), /begins with 0/],
    ['postgresql.conf', one, /no file of a WAL/],
    ['00000003.history', 'nonsense', /damaged/],
  ] as const)
    await expect(at.push(name, bytes)).rejects.toThrow(fact);
  await expect(acceptFile('/nowhere/000000030000000100000003', at.incoming)).rejects.toMatchObject({
    code: 'SOURCE_FAILED',
  });
  expect(await at.waiting()).toEqual([segmentName(3, first, segmentBytes)]);
});

test('a folder that was made for two users gives its rights to all in it', async () => {
  await using at = await place();
  await mkdir(at.incoming, { mode: 0o770 });
  await chmod(at.incoming, 0o2770);
  await at.pushSegment(0, zero);
  const [name = ''] = await at.waiting();
  expect((await stat(join(at.incoming, 'files'))).mode & 0o7777).toBe(0o2770);
  expect((await stat(join(at.incoming, 'files', name))).mode & 0o777).toBe(0o660);
});

test('what was handed over comes into the journal in order, and its files go', async () => {
  await using at = await place();
  await at.push('00000003.history', history);
  const journal = memoryJournal();
  await using receiving = receiveFrom(at, journal);
  await at.pushSegment(0, zero);
  await at.pushSegment(1, one);
  await at.pushSegment(3, three);
  await at.pushSegment(2, two);
  await until(async () => (await sealed(journal)).length === 3);
  // The last one ends within a record: it stays until the next has come.
  await until(async () => (await at.waiting()).length === 1);
  expect(await at.waiting()).toEqual([segmentName(3, first + 3, segmentBytes)]);
  expect(receiving.events.warnings).toEqual([]);
  const [branch] = await journal.branches(new AbortController().signal);
  expect(branch?.about).toMatchObject({ timeline: 3, major: 18, history });
  const kept = [0, 1, 2].map((index) => journal.bytesOf(branch?.lineage ?? '', first + index));
  expect(Buffer.concat(kept).equals(Buffer.concat([zero, one, two]))).toBe(true);
  // Long gone, and still known by its bytes.
  expect(await at.pushSegment(0, zero)).toBe('known');
  await expect(at.pushSegment(0, segmentsOf(1, madeWalOptions, 7)[0] ?? zero)).rejects.toMatchObject({
    code: 'JOURNAL_FORKED',
  });
});

test('segments of a timeline wait for its history', async () => {
  await using at = await place();
  const journal = memoryJournal();
  await using receiving = receiveFrom(at, journal);
  await at.pushSegment(0, zero);
  await until(() => receiving.events.warnings.length > 0);
  expect(receiving.events.warnings[0]?.hint).toContain('00000003.history');
  await at.push('00000003.history', history);
  await at.pushSegment(1, one);
  await until(async () => (await sealed(journal)).length === 1);
});

test('a segment that never comes is a gap after a while, and the journal goes on', async () => {
  await using at = await place();
  await at.push('00000003.history', history);
  const journal = memoryJournal();
  await using receiving = receiveFrom(at, journal, { holeWaitMs: 100 });
  await at.pushSegment(0, zero);
  await sleep(30);
  await at.pushSegment(2, two);
  await at.pushSegment(3, three);
  await until(async () => (await sealed(journal)).includes(2));
  expect(journal.gaps).toMatchObject([{ from: { segment: first }, to: { segment: first + 2, offset: 0 } }]);
  expect(receiving.events.bases).toEqual(['the server did not hand it over']);
});

test('a clock that is set on meanwhile does not make a segment count as lost', async () => {
  await using at = await place();
  const journal = memoryJournal();
  let nowMs = systemClock.now();
  const clock = { now: () => (nowMs += 3_600_000) };
  await using receiving = receiveFrom(at, journal, { clock });
  await at.push('00000003.history', history);
  await at.pushSegment(0, zero);
  await sleep(50);
  await at.pushSegment(2, two);
  // A dozen looks, by this clock as many hours and more.
  await sleep(200);
  expect(journal.gaps).toEqual([]);
  await at.pushSegment(1, one);
  await until(async () => (await sealed(journal)).includes(1));
  expect(receiving.events.bases).toEqual([]);
});

test('of the last segment of a timeline only what is WAL comes into the journal', async () => {
  await using at = await place();
  await at.push('00000003.history', history);
  const journal = memoryJournal();
  await using _ = receiveFrom(at, journal);
  const wal = new MadeWal();
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(5000, 7) });
  const { endLsn } = wal.commit(1_795_000_000_000_000n);
  const partial = Buffer.concat([wal.bytes, Buffer.alloc(segmentBytes - wal.bytes.length)]);
  await at.push(`${segmentName(3, first, segmentBytes)}.partial`, partial);
  await until(async () => (await at.waiting()).length === 0);
  const [branch] = await journal.branches(new AbortController().signal);
  expect(branch?.end).toEqual({ segment: first, offset: Number(endLsn - startLsn) });
});

test('the notes that a backup leaves in the archive are passed over', async () => {
  await using at = await place();
  expect(await at.push('000000030000000100000003.00000028.backup', 'START WAL LOCATION: …')).toBe('known');
});
