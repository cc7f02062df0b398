// What becomes of the journal where repositories are slow, away, new or damaged.
import { openSync, readdirSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { seededRandom } from '../../base/random.ts';
import { copyJournals } from '../../repository/journal/copy.ts';
import { listJournal } from '../../repository/journal/listing.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalBranch, JournalSink } from '../../sources/journal.ts';
import { journalOptions, memoryRepository } from '../../../test/support/journal-scene.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { watchRepository } from '../../../test/support/watched-store.ts';
import { fair, weatherStore, type Weather } from '../../../test/support/weather-store.ts';
import { stretchSegmentsMax } from './branch-shipping.ts';
import { readJournals } from './reader.ts';
import { unbrokenRuns } from './runs.ts';
import { SpooledJournal, type SpooledJournalOptions } from './spooled-journal.ts';

const branch: JournalBranch = { lineage: 'test/1', segmentBytes: 1000, about: {} };
const at = (segment: number, offset: number) => ({ segment, offset });

let home: TemporaryFolder;
let first: Place;
let second: Place;
let told: string[];
beforeEach(async () => {
  home = await temporaryFolder();
  first = await makePlace();
  second = await makePlace();
  told = [];
});
afterEach(() => home[Symbol.asyncDispose]());

const start = (places: readonly Place[], changes: Partial<SpooledJournalOptions> = {}): Promise<SpooledJournal> => {
  const options = journalOptions(join(home.path, 'spool'), places.map(asSeen));
  const events = {
    note: (message: string) => told.push(message),
    warn: (it: { message: string }) => told.push(it.message),
  };
  return SpooledJournal.open({ ...options, events, ...changes });
};
const stateOf = async ({ repository }: Place): Promise<string> => {
  const { stretches, gaps } = await listJournal(repository, branch, noSignal);
  const kept = stretches.map(({ segment, to, isSealed }) => (isSealed ? String(segment) : `${segment}(${to})`));
  return [...kept, ...gaps.map(({ from, to }) => `gap ${from.segment}:${from.offset}-${to.segment}:${to.offset}`)].join(
    ' ',
  );
};

describe('a journal that is shipped', () => {
  test('a repository that is away holds up no other, and gets all when it is back, oldest first', async () => {
    second.weather.isDown = true;
    await using journal = await start([first, second]);
    await using sink = await journal.open(branch, noSignal);
    for (let segment = 1; segment <= 20; segment += 1) await fill(sink, segment);
    await expect.poll(() => stateOf(first)).toBe(range(1, 20));
    expect(journal.status().repositories.map(({ state, backlogBytes }) => ({ state, backlogBytes }))).toEqual([
      { state: 'idle', backlogBytes: 0 },
      { state: 'away', backlogBytes: 20_000 },
    ]);
    expect(journal.status().repositories[1]?.lastError?.message).toContain('it is away');
    expect(journal.status().spool.usedBytes).toBeGreaterThanOrEqual(20_000);
    second.weather.isDown = false;
    await journal.flush(noSignal);
    expect(await stateOf(second)).toBe(range(1, 20));
    // The newest one stays: it tells where the journal goes on.
    await expect.poll(() => journal.status().spool.usedBytes).toBeLessThan(2000);
    expect(told.filter((message) => message.includes('r2 does not take the journal'))).toHaveLength(1);
    expect(told).toContain('the journal reaches repository r2 again');
  });

  test('acknowledges by the slowest repository where that is promised', async () => {
    await using journal = await start([first, second], { acknowledge: 'repository' });
    await using sink = await journal.open(branch, noSignal);
    await fill(sink, 1);
    await expect.poll(() => sink.sync(noSignal)).toEqual(at(2, 0));
    second.weather.isDown = true;
    await fill(sink, 2);
    await expect.poll(() => stateOf(first)).toBe('1 2');
    expect(await sink.sync(noSignal)).toEqual(at(2, 0));
    second.weather.isDown = false;
    await expect.poll(() => sink.sync(noSignal), { timeout: 5000 }).toEqual(at(3, 0));
  });

  test('a full spool stops taking in until a repository takes some', async () => {
    first.weather.isDown = true;
    await using journal = await start([first], { spool: { folder: join(home.path, 'spool'), maxBytes: 5000 } });
    const opening = journal.open(branch, noSignal);
    first.weather.isDown = false;
    await using sink = await opening;
    first.weather.isDown = true;
    let filled = 0;
    const filling = (async () => {
      for (let segment = 1; segment <= 20; segment += 1) {
        await fill(sink, segment);
        filled = segment;
      }
    })();
    await expect.poll(() => journal.status().spool.waitsFor).toBe('limit');
    expect(filled).toBeLessThanOrEqual(5);
    first.weather.isDown = false;
    await filling;
    await journal.flush(noSignal);
    expect(await stateOf(first)).toBe(range(1, 20));
  });

  test('a clock that is set back delays nothing', async () => {
    let offsetMs = 0;
    await using journal = await start([first], { clock: { now: () => systemClock.now() + offsetMs } });
    await using sink = await journal.open(branch, noSignal);
    await sink.append(at(1, 0), content(1).subarray(0, 100), noSignal);
    await sink.sync(noSignal);
    await expect.poll(() => stateOf(first)).toBe('1(100)');
    offsetMs = -86_400_000;
    await sink.append(at(1, 100), content(1).subarray(100, 200), noSignal);
    await sink.sync(noSignal);
    await expect.poll(() => stateOf(first)).toBe('1(200)');
  });

  test('a small interval makes parts, and joins them when there are many', async () => {
    await using journal = await start([first], { intervalMs: 1 });
    await using sink = await journal.open(branch, noSignal);
    for (let offset = 0; offset < 150; offset += 1) {
      await sink.append(at(1, offset), content(1).subarray(offset, offset + 1), noSignal);
      await sink.sync(noSignal);
      await journal.flush(noSignal);
    }
    const [stretch] = (await listJournal(first.repository, branch, noSignal)).stretches;
    expect(stretch).toMatchObject({ segment: 1, to: 150, isSealed: false });
    expect(stretch?.objects.length).toBeLessThan(66);
    expect(await readJournals(first.repository).read('test/1', 1, noSignal)).toEqual(content(1).subarray(0, 150));
  });

  test('a repository that begins later, or lacks what the spool let go of, has no silent hole', async () => {
    {
      await using journal = await start([first, second]);
      await using sink = await journal.open(branch, noSignal);
      await fill(sink, 1);
      await journal.flush(noSignal);
    }
    {
      await using journal = await start([first]);
      await using sink = await journal.open(branch, noSignal);
      for (const segment of [2, 3, 4]) await fill(sink, segment);
      await journal.flush(noSignal);
      await expect.poll(() => journal.status().spool.usedBytes).toBeLessThan(2000);
    }
    const third = await makePlace();
    await using journal = await start([first, second, third]);
    await using sink = await journal.open(branch, noSignal);
    expect(sink.resumeAt()).toEqual(at(5, 0));
    await fill(sink, 5);
    await journal.flush(noSignal);
    expect(await stateOf(first)).toBe('1 2 3 4 5');
    expect(await stateOf(second)).toBe('1 4 5 gap 2:0-4:0');
    expect(await stateOf(third)).toBe('4 5');
    const segments = await readJournals(second.repository).segments('test/1', noSignal);
    expect(unbrokenRuns(segments, branch.segmentBytes)).toEqual([
      { firstSegment: 1, lastSegment: 1, lastBytes: 1000, isSealed: true },
      { firstSegment: 4, lastSegment: 5, lastBytes: 1000, isSealed: true },
    ]);
    // Another repository that has it fills the hole.
    await copyJournals(first.repository, second.repository, { signal: noSignal });
    expect(await stateOf(second)).toBe('1 2 3 4 5 gap 2:0-4:0');
  });

  test('a new spool goes on where the repository ends, within the open segment too', async () => {
    {
      await using journal = await start([first]);
      await using sink = await journal.open(branch, noSignal);
      await fill(sink, 1);
      await sink.append(at(2, 0), content(2).subarray(0, 300), noSignal);
      await sink.sync(noSignal);
      await journal.flush(noSignal);
    }
    const elsewhere = { spool: { folder: join(home.path, 'elsewhere'), maxBytes: 100_000 } };
    await using journal = await start([first], elsewhere);
    expect(await journal.branches(noSignal)).toEqual([{ ...branch, start: at(1, 0), end: at(2, 300) }]);
    await using sink = await journal.open(branch, noSignal);
    expect(sink.resumeAt()).toEqual(at(2, 300));
    const other = content(2);
    other[299] = (other[299] ?? 0) ^ 1;
    await expect(sink.append(at(2, 0), other, noSignal)).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
    await expect(sink.append(at(1, 0), content(3), noSignal)).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
    await sink.append(at(1, 0), content(1), noSignal);
    await fill(sink, 2);
    await journal.flush(noSignal);
    expect(await stateOf(first)).toBe('1 2');
  });

  test('a receiver does not push aside one that lives, unless it is told to', async () => {
    await using journal = await start([first]);
    await using sink = await journal.open(branch, noSignal);
    await fill(sink, 1);
    const elsewhere = { takesOver: false, spool: { folder: join(home.path, 'elsewhere'), maxBytes: 100_000 } };
    await using other = await start([first], elsewhere);
    await expect(other.open(branch, noSignal)).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
    expect(other.signal.reason).toMatchObject({ code: 'JOURNAL_FENCED' });
    await fill(sink, 2);
    expect(sink.signal.aborted).toBe(false);
  });

  test('what the disk of the spool damaged becomes a gap, and the rest goes on', async () => {
    first.weather.isDown = true;
    {
      await using journal = await start([first]);
      const opening = journal.open(branch, noSignal);
      first.weather.isDown = false;
      await using sink = await opening;
      first.weather.isDown = true;
      for (const segment of [1, 2, 3]) await fill(sink, segment);
    }
    const [folder = ''] = readdirSync(join(home.path, 'spool')).filter((name) => name.startsWith('branch-'));
    const file = openSync(join(home.path, 'spool', folder, '0000000000000002.segment'), 'r+');
    writeSync(file, Buffer.alloc(5, 0xff), 0, 5, 500);
    closeSync(file);
    first.weather.isDown = false;
    await using journal = await start([first]);
    await using sink = await journal.open(branch, noSignal);
    await fill(sink, 4);
    await journal.flush(noSignal);
    expect(await stateOf(first)).toBe('1 3 4 gap 2:0-3:0');
    expect(told.some((message) => message.includes('gives other bytes'))).toBe(true);
  });

  test('a segment that was swapped or altered in the repository is not read', async () => {
    await using journal = await start([first]);
    await using sink = await journal.open(branch, noSignal);
    for (const segment of [1, 2]) await fill(sink, segment);
    await journal.flush(noSignal);
    const { store } = first.repository;
    const names = (await Array.fromAsync(store.list('journals/'), ({ name }) => name)).filter((name) =>
      name.includes('/segments/'),
    );
    const [one = '', two = ''] = names.toSorted();
    await store.put(one, [await store.get(two)]);
    const altered = await store.get(two);
    altered[altered.length - 20] = (altered[altered.length - 20] ?? 0) ^ 1;
    await store.put(two, [altered]);
    const reader = readJournals(first.repository);
    for (const segment of [1, 2])
      await expect(reader.read('test/1', segment, noSignal)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  });

  test('closing ships what is left, and gives up where a repository stays away', async () => {
    {
      await using journal = await start([first, second], { closeMaxMs: 5000, intervalMs: 60_000 });
      await using sink = await journal.open(branch, noSignal);
      await fill(sink, 1);
      await sink.append(at(2, 0), content(2).subarray(0, 10), noSignal);
      await sink.sync(noSignal);
    }
    expect(await stateOf(first)).toBe('1 2(10)');
    second.weather.isDown = true;
    {
      await using journal = await start([first, second], { closeMaxMs: 300, intervalMs: 60_000 });
      await using sink = await journal.open(branch, noSignal);
      await sink.append(at(2, 10), content(2).subarray(10, 20), noSignal);
      await sink.sync(noSignal);
    }
    expect(await stateOf(first)).toBe('1 2(20)');
    expect(told.some((message) => message.startsWith('not all of the journal was shipped'))).toBe(true);
  });
});

describe('a segment that later ones overtook', () => {
  /** Segments from 2 on are complete; that one does not get there, the others do. Then receiver and spool are gone. */
  async function loseOne(last: number): Promise<void> {
    const isOfTwo = (name: string): boolean => /\/segments\/0*2-/.test(name);
    let failures = 0;
    const arrived = new Set<string>();
    const watched = watchRepository(first.repository, {
      async beforePut(name) {
        if (!isOfTwo(name)) return;
        // Those that are under way beside it are to be through.
        while (arrived.size < Math.min(last, stretchSegmentsMax + 1) - 2) await sleep(1);
        failures += 1;
        throw new AppError('STORE_UNREACHABLE', 'simulated', { hint: 'Wait.' });
      },
      afterPut: (name) => void (name.includes('/segments/') && arrived.add(name)),
    });
    await using journal = await start([{ repository: watched, weather: first.weather }]);
    await using sink = await journal.open(branch, noSignal);
    await fill(sink, 1);
    await sink.append(at(2, 0), content(2).subarray(0, 600), noSignal);
    await sink.sync(noSignal);
    await journal.flush(noSignal);
    arrived.clear();
    first.weather.isDown = true;
    for (let segment = 2; segment <= last; segment += 1) await fill(sink, segment);
    first.weather.isDown = false;
    await expect.poll(() => failures, { timeout: 10_000 }).toBeGreaterThan(1);
  }

  test.each([
    ['is fetched again, receiver and spool lost, from a server that still has it', true],
    ['becomes a gap that is recorded, receiver and spool lost, where the server has it no more', false],
  ])('%s', async (_what, isThere) => {
    await loseOne(4);
    expect(await stateOf(first)).toBe('1 2(600) 3 4');
    const elsewhere = { spool: { folder: join(home.path, 'elsewhere'), maxBytes: 100_000 } };
    await using journal = await start([first], elsewhere);
    await using sink = await journal.open(branch, noSignal);
    expect(sink.resumeAt()).toEqual(at(2, 0));
    if (isThere) for (const segment of [2, 3, 4]) await fill(sink, segment);
    else await sink.gap({ from: at(2, 0), to: at(5, 0), reason: 'recycled' }, noSignal);
    await fill(sink, 5);
    await journal.flush(noSignal);
    expect(await stateOf(first)).toBe(isThere ? '1 2 3 4 5' : '1 2(600) 3 4 5 gap 2:0-5:0');
    const { holes } = await listJournal(first.repository, branch, noSignal);
    expect(holes.filter(({ isRecorded }) => !isRecorded)).toEqual([]);
  });

  test('and that never gets there is not left so far behind that nobody finds the hole', async () => {
    await loseOne(60);
    expect(await stateOf(first)).toBe(`1 2(600) ${range(3, 2 + stretchSegmentsMax - 1)}`);
    const elsewhere = { spool: { folder: join(home.path, 'elsewhere'), maxBytes: 100_000 } };
    await using journal = await start([first], elsewhere);
    await using sink = await journal.open(branch, noSignal);
    expect(sink.resumeAt()).toEqual(at(2, 0));
  });
});

interface Place {
  readonly repository: Repository;
  readonly weather: Weather;
}

async function makePlace(): Promise<Place> {
  return { repository: await memoryRepository(), weather: fair() };
}

function asSeen({ repository, weather }: Place): Repository {
  return { ...repository, store: weatherStore(repository.store, weather, seededRandom(1)) };
}

const range = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index)).join(' ');

function content(segment: number): Buffer {
  const random = seededRandom(segment + 1);
  return Buffer.from(Array.from({ length: branch.segmentBytes }, () => Math.floor(random() * 256)));
}

async function fill(sink: JournalSink, segment: number): Promise<void> {
  await sink.append(at(segment, 0), content(segment), noSignal);
  await sink.seal(segment, { segment }, noSignal);
}
