import assert from 'node:assert/strict';
import { beforeEach, expect, test } from 'vitest';
import {
  list,
  openTestJournal,
  readBytes,
  segmentContent,
  sourceOf,
  testBranch,
  writerId,
} from '../../../test/support/journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import type { MemoryStore } from '../../storage/memory/store.ts';
import type { Store } from '../../storage/store.ts';
import type { Repository } from '../repository.ts';
import { readBranches } from './branches.ts';
import { endOf, startOf } from './listing.ts';
import { objectMaxBytes } from './frames.ts';
import { readFacts, readGap, readSegment } from './read.ts';
import type { JournalWriter } from './writer.ts';

let sample: SampleRepository;
beforeEach(async () => {
  sample = await sampleRepository();
});

/** The same repository without its journals, in a store of its own. */
let elsewhere: MemoryStore;
async function emptyCopy(): Promise<Repository> {
  elsewhere = sample.store.clone();
  for (const name of await namesIn(elsewhere, 'journals/')) await elsewhere.remove(name);
  return { ...sample.repository, store: elsewhere };
}

const forked = { code: 'JOURNAL_FORKED' };

async function putParts(
  journal: JournalWriter,
  { segment, content }: { readonly segment: number; readonly content?: Buffer },
  borders: readonly number[],
) {
  const bytes = content ?? segmentContent(segment);
  for (const [at, from] of borders.slice(0, -1).entries()) {
    const part = {
      segment,
      offset: from,
      bytes: bytes.subarray(from, borders[at + 1]),
      facts: { upTo: borders[at + 1] ?? 0 },
    };
    await journal.putPart(part, noSignal);
  }
}
const seal = (journal: JournalWriter, segment: number, content = segmentContent(segment)) =>
  journal.sealSegment(sourceOf(segment, content, { facts: { sealed: segment } }), noSignal);

test('parts come back as the beginning of an open segment, and a listing alone tells how far they reach', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  expect(journal.end).toBeUndefined();
  await putParts(journal, { segment: 7 }, [0, 10, 300, 301]);
  expect(journal.end).toEqual({ segment: 7, offset: 301 });
  const listing = await list(sample.repository);
  expect(listing).toMatchObject({
    holes: [],
    problems: [],
    stretches: [{ segment: 7, from: 0, to: 301, isSealed: false }],
  });
  expect([startOf(listing), endOf(listing)]).toEqual([
    { segment: 7, offset: 0 },
    { segment: 7, offset: 301 },
  ]);
  expect(await readBytes(sample.repository, 7)).toEqual({
    from: 0,
    bytes: segmentContent(7).subarray(0, 301),
    isComplete: true,
    problems: [],
  });
  expect(await readFacts(sample.repository, listing, { segment: 7, signal: noSignal })).toEqual({ upTo: 301 });
});

test('a sealed segment takes the place of its parts, and says what is known of it without its bytes', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 10, 300]);
  await seal(journal, 7);
  await putParts(journal, { segment: 8 }, [0, 5]);
  const names = await namesIn(sample.store, 'journals/');
  expect(names.map((name) => name.split('/')[2]).filter((part) => part?.length !== 64)).toEqual(['parts', 'segments']);
  const listing = await list(sample.repository);
  expect(listing.stretches).toMatchObject([
    { segment: 7, from: 0, to: 1000, isSealed: true },
    { segment: 8, from: 0, to: 5, isSealed: false },
  ]);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7));
  const reads: string[] = [];
  const watched: Store = {
    ...sample.store,
    get(name, options) {
      reads.push(`${options?.offset}+${options?.length}`);
      return sample.store.get(name, options);
    },
  };
  const repository = { ...sample.repository, store: watched };
  expect(await readFacts(repository, listing, { segment: 7, signal: noSignal })).toEqual({ sealed: 7 });
  expect(reads).toEqual(['0+4096']);
});

test('facts of any length come back', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  const facts = { points: Array.from({ length: 2000 }, (_, at) => `point ${at * 7919} of ${at}`) };
  await journal.sealSegment(sourceOf(1, segmentContent(1), { facts }), noSignal);
  expect(await readFacts(sample.repository, await list(sample.repository), { segment: 1, signal: noSignal })).toEqual(
    facts,
  );
});

test('a segment larger than an object may be becomes several, which count as sealed only together', async () => {
  const branch = { ...testBranch, segmentBytes: 2 * objectMaxBytes + 70_000 };
  const content = Buffer.alloc(branch.segmentBytes, 'the same over and over');
  content.fill(segmentContent(1, 50_000), 1_000_000, 1_050_000);
  const journal = await openTestJournal(sample.repository, 1, { branch });
  let longest = 0;
  const source = sourceOf(3, content, { facts: { last: true } });
  await journal.sealSegment(
    {
      ...source,
      read: (offset, into) => {
        longest = Math.max(longest, into.length);
        return source.read(offset, into);
      },
    },
    noSignal,
  );
  expect(longest).toBe(1024 * 1024);
  const segments = (await namesIn(sample.store, 'journals/')).filter((name) => name.includes('/segments/'));
  expect(segments).toHaveLength(3);
  expect((await readBytes(sample.repository, 3, branch)).bytes.equals(content)).toBe(true);
  const request = { segment: 3, signal: noSignal };
  expect(await readFacts(sample.repository, await list(sample.repository, branch), request)).toEqual({ last: true });
  await sample.store.remove(segments[2] ?? '');
  expect((await list(sample.repository, branch)).stretches).toMatchObject([
    { to: 2 * objectMaxBytes, isSealed: false },
  ]);
});

test('bytes that come again must be those that are kept', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 100, 200]);
  const before = await namesIn(sample.store);
  await putParts(journal, { segment: 7 }, [50, 150]);
  expect(await namesIn(sample.store)).toEqual(before);
  const other = segmentContent(7);
  other[149] = (other[149] ?? 0) ^ 1;
  await expect(putParts(journal, { segment: 7, content: other }, [50, 150])).rejects.toMatchObject(forked);
  await expect(putParts(journal, { segment: 7, content: other }, [120, 220])).rejects.toMatchObject(forked);
  await putParts(journal, { segment: 7 }, [120, 220]);
  await expect(seal(journal, 7, other)).rejects.toMatchObject(forked);
  await expect(seal(journal, 7, segmentContent(7).subarray(0, 210))).rejects.toMatchObject(forked);
  await seal(journal, 7);
  await seal(journal, 7);
  await expect(seal(journal, 7, other)).rejects.toMatchObject(forked);
  await expect(seal(journal, 7, segmentContent(7).subarray(0, 999))).rejects.toMatchObject(forked);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7));
});

test('nothing is added to a sealed segment', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await seal(journal, 7, segmentContent(7).subarray(0, 400));
  await expect(putParts(journal, { segment: 7 }, [400, 500])).rejects.toMatchObject(forked);
});

test('a writer that comes later goes on where the verified bytes end', async () => {
  const first = await openTestJournal(sample.repository, 1);
  await seal(first, 6);
  await putParts(first, { segment: 7 }, [0, 100, 200]);
  const second = await openTestJournal(sample.repository, 2);
  expect(second.end).toEqual({ segment: 7, offset: 200 });
  await putParts(second, { segment: 7 }, [200, 350]);
  await seal(second, 7);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7));
  expect((await namesIn(sample.store, 'journals/')).filter((name) => name.includes('/parts/'))).toEqual([]);
  expect((await openTestJournal(sample.repository, 3)).end).toEqual({ segment: 8, offset: 0 });
});

test('a writer of a lower epoch than what is there is refused, and one that describes the branch otherwise', async () => {
  await putParts(await openTestJournal(sample.repository, 5), { segment: 7 }, [0, 100]);
  await expect(openTestJournal(sample.repository, 4)).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
  const branch = { ...testBranch, about: { history: 'another' } };
  await expect(openTestJournal(sample.repository, 6, { branch })).rejects.toMatchObject(forked);
  expect(await readBranches(sample.repository, noSignal)).toMatchObject({ branches: [testBranch], problems: [] });
});

test('many small parts become one without a moment in which bytes are missing', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  const borders = Array.from({ length: 41 }, (_, at) => at * 10);
  await putParts(journal, { segment: 7 }, borders);
  expect(journal.partCount(7)).toBe(40);
  await journal.consolidate(sourceOf(7, segmentContent(7).subarray(0, 400), { facts: { merged: true } }), noSignal);
  expect(journal.partCount(7)).toBe(1);
  await putParts(journal, { segment: 7 }, [400, 450]);
  await journal.consolidate(sourceOf(7, segmentContent(7).subarray(0, 450)), noSignal);
  expect((await namesIn(sample.store, 'journals/')).filter((name) => name.includes('/parts/'))).toHaveLength(1);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7).subarray(0, 450));
});

test('gaps explain holes; a hole that none explains is told apart', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await seal(journal, 1);
  await putParts(journal, { segment: 2 }, [0, 300]);
  const gap = { from: { segment: 2, offset: 300 }, to: { segment: 5, offset: 200 }, reason: 'the slot was dropped' };
  await journal.recordGap(gap, noSignal);
  await journal.recordGap(gap, noSignal);
  await putParts(journal, { segment: 5 }, [200, 400]);
  await journal.sealSegment(sourceOf(5, segmentContent(5), { from: 200 }), noSignal);
  await seal(journal, 8);
  const listing = await list(sample.repository);
  expect(listing.holes).toEqual([
    { from: { segment: 2, offset: 300 }, to: { segment: 5, offset: 200 }, isRecorded: true },
    { from: { segment: 6, offset: 0 }, to: { segment: 8, offset: 0 }, isRecorded: false },
  ]);
  expect(listing.stretches[2]).toMatchObject({ segment: 5, from: 200, to: 1000, isSealed: true });
  const [recorded] = listing.gaps;
  expect(listing.gaps).toHaveLength(1);
  assert.ok(recorded);
  const read = await readGap(sample.repository, { lineage: testBranch.lineage, gap: recorded, signal: noSignal });
  expect(read.reason).toBe('the slot was dropped');
  expect(await readBytes(sample.repository, 5)).toMatchObject({ from: 200, bytes: segmentContent(5).subarray(200) });
});

test('of two writers at once the higher epoch is believed, and a difference is told', async () => {
  const low = await openTestJournal(sample.repository, 1);
  const high = await openTestJournal(sample.repository, 2);
  const other = Buffer.from(segmentContent(7));
  other[150] = (other[150] ?? 0) ^ 1;
  await putParts(low, { segment: 7, content: other }, [0, 100, 200]);
  await putParts(high, { segment: 7 }, [0, 80, 160]);
  const read = await readBytes(sample.repository, 7);
  expect(read.bytes).toEqual(segmentContent(7).subarray(0, 160));
  expect(read.isComplete).toBe(false);
  expect(read.problems).toMatchObject([
    { name: expect.stringContaining(writerId(1)), message: expect.stringContaining('differ') },
  ]);
  await seal(high, 7);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7));
  await seal(low, 7, other);
  const after = await readBytes(sample.repository, 7);
  expect(after.bytes).toEqual(segmentContent(7));
  expect(after.problems).toHaveLength(1);
});

test('what two writers at once kept alike is one journal', async () => {
  const low = await openTestJournal(sample.repository, 1);
  const high = await openTestJournal(sample.repository, 2);
  await putParts(low, { segment: 7 }, [0, 100, 200, 300]);
  await putParts(high, { segment: 7 }, [0, 80, 160]);
  const read = await readBytes(sample.repository, 7);
  expect(read).toMatchObject({ isComplete: true, problems: [], bytes: segmentContent(7).subarray(0, 300) });
  await seal(low, 7);
  await seal(high, 7);
  expect(await readBytes(sample.repository, 7)).toMatchObject({ problems: [], bytes: segmentContent(7) });
});

test('bytes are never put behind others than those they were written after', async () => {
  const other = segmentContent(77);
  await putParts(await openTestJournal(sample.repository, 1), { segment: 7, content: other }, [0, 100]);
  const high = await openTestJournal(await emptyCopy(), 2);
  await putParts(high, { segment: 7 }, [0, 100, 200]);
  const [, later = ''] = (await namesIn(elsewhere, 'journals/')).filter((name) => name.includes('/parts/'));
  await sample.store.put(later, [await elsewhere.get(later)]);
  const read = await readBytes(sample.repository, 7);
  expect(read).toMatchObject({ bytes: other.subarray(0, 100), isComplete: false });
  expect(read.problems).toEqual([{ name: later, message: expect.stringContaining('after other bytes') }]);
});

test('payloads swapped between two objects of one writer are found out, though each of them opens', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 100, 200]);
  const names = (await namesIn(sample.store, 'journals/')).filter((name) => name.includes('/parts/'));
  const [left, right] = await Promise.all(names.map((name) => sample.store.get(name)));
  assert.ok(left && right);
  const payload = (bytes: Buffer): number => 8 + bytes.readUInt32LE(4);
  await sample.store.put(names[0] ?? '', [left.subarray(0, payload(left)), right.subarray(payload(right))]);
  await expect(readBytes(sample.repository, 7)).rejects.toMatchObject({
    code: 'REPOSITORY_DAMAGED',
    message: expect.stringMatching(`${names[0]}.*do not fit the hash`),
  });
});

test('a writer goes on from the last byte that can be trusted, and tells what is damaged', async () => {
  await putParts(await openTestJournal(sample.repository, 1), { segment: 7 }, [0, 100, 200, 300]);
  const [, second = ''] = (await namesIn(sample.store, 'journals/')).filter((name) => name.includes('/parts/'));
  await sample.store.put(second, [Buffer.from('damaged')]);
  const next = await openTestJournal(sample.repository, 2);
  expect(next.end).toEqual({ segment: 7, offset: 100 });
  expect(next.problems.map(({ name }) => name)).toContain(second);
  await putParts(next, { segment: 7 }, [100, 400]);
  expect((await readBytes(sample.repository, 7)).bytes).toEqual(segmentContent(7).subarray(0, 400));
  await seal(next, 7);
  expect(await readBytes(sample.repository, 7)).toMatchObject({ bytes: segmentContent(7), problems: [] });
});

test('a listing misses nothing while a segment is sealed in the middle of it', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 100, 200]);
  for (const before of [1, 2, 3]) {
    const store = sample.store.clone();
    const writer = await openTestJournal({ ...sample.repository, store }, 2);
    let lists = 0;
    const sealing: Store = {
      ...store,
      async *list(prefix, options) {
        lists += 1;
        if (lists === before) await seal(writer, 7);
        yield* store.list(prefix, options);
      },
    };
    const { stretches, problems } = await list({ ...sample.repository, store: sealing });
    expect(problems).toEqual([]);
    expect(stretches).toMatchObject([{ segment: 7, from: 0, to: expect.any(Number) }]);
  }
});

test('a gap that was filled meanwhile is no fork', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await seal(journal, 1);
  await journal.recordGap(
    { from: { segment: 2, offset: 0 }, to: { segment: 2, offset: 200 }, reason: 'lost' },
    noSignal,
  );
  await putParts(journal, { segment: 2 }, [200, 300]);
  await seal(await openTestJournal(sample.repository, 2), 2);
  expect((await readBytes(sample.repository, 2)).bytes).toEqual(segmentContent(2));
});

test('a reader with an old listing finds the segment that took the place of the parts', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 100, 200]);
  const old = await list(sample.repository);
  await seal(journal, 7);
  const read = await readSegment(sample.repository, old, { segment: 7, signal: noSignal });
  expect(read.bytes).toEqual(segmentContent(7));
});

test('a reader who knows the beginning fetches what goes on from it, and gets it no more if it is another', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await putParts(journal, { segment: 7 }, [0, 100, 200, 300]);
  const listing = await list(sample.repository);
  const first = listing.stretches[0]?.objects.find(({ offset }) => offset === 0);
  await sample.store.remove(first?.name ?? '');
  const known = segmentContent(7).subarray(0, 200);
  const read = (beginning: Buffer) =>
    readSegment(sample.repository, listing, { segment: 7, known: beginning, signal: noSignal });
  expect(await read(known)).toMatchObject({
    isComplete: true,
    bytes: segmentContent(7).subarray(0, 300),
    problems: [],
  });
  const other = Buffer.from(known);
  other[150] = 1 + (other[150] ?? 0);
  expect(await read(other)).toMatchObject({ isComplete: false });
});

test('neither names nor bytes tell a stranger which server it is or what it does', async () => {
  const journal = await openTestJournal(sample.repository, 1);
  await journal.putPart(
    { segment: 1, offset: 0, bytes: Buffer.alloc(600, 'secret words '), facts: { known: 'secret fact' } },
    noSignal,
  );
  for (const name of await namesIn(sample.store, 'journals/')) {
    expect(name).not.toContain('test');
    expect((await sample.store.get(name)).toString('latin1')).not.toMatch(/secret|test\/1/);
  }
  const other = await sampleRepository();
  await openTestJournal(other.repository, 1);
  expect((await namesIn(other.store, 'journals/'))[0]?.split('/')[2]).not.toBe(
    (await namesIn(sample.store, 'journals/branches/'))[0]?.split('/')[2],
  );
});
