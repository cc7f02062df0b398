import { beforeEach, expect, test } from 'vitest';
import { journalWithGap, list, readBytes, segmentContent, testBranch } from '../../../test/support/journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import { faultyStore } from '../../storage/faulty.ts';
import { acquireLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { readBranches } from './branches.ts';
import { startOf } from './listing.ts';
import { decideJournalTrim, executeJournalTrim } from './trim.ts';

let sample: SampleRepository;
const { lineage } = testBranch;
const floorAt = (segment: number, offset = 0) => new Map([[lineage, { segment, offset }]]);

beforeEach(async () => {
  sample = await sampleRepository();
  await journalWithGap(sample.repository, { before: [1, 2, 3], behind: [6, 7], parts: [9] });
});

async function trim(floors: Parameters<typeof decideJournalTrim>[1], repository: Repository = sample.repository) {
  await using lock = await acquireLock(repository, { isExclusive: true, signal: noSignal });
  const decision = decideJournalTrim([await list(repository)], floors);
  await executeJournalTrim(repository, decision, { lock, signal: noSignal });
  return decision;
}
const kept = async () => (await list(sample.repository)).stretches.map(({ segment }) => segment);

test('what lies before the segment of the floor goes, that segment and what a branch is stay', async () => {
  const before = await namesIn(sample.store);
  const decision = await trim(floorAt(3, 500));
  expect(decision.segments.map(({ segment }) => segment)).toEqual([1, 2]);
  expect(decision.freedBytes).toBeGreaterThan(2000);
  expect(await kept()).toEqual([3, 6, 7, 8]);
  expect((await list(sample.repository)).holes).toMatchObject([{ isRecorded: true }]);
  expect((await readBranches(sample.repository, noSignal)).branches).toHaveLength(1);
  expect(before.length - (await namesIn(sample.store)).length).toBe(2);
  expect((await trim(floorAt(3, 500))).segments).toEqual([]);
});

test('without a floor nothing goes, and the newest segment stays whatever the floor', async () => {
  expect(await trim(new Map([['another', { segment: 99, offset: 0 }]]))).toEqual({
    segments: [],
    gaps: [],
    freedBytes: 0,
  });
  expect(await kept()).toEqual([1, 2, 3, 6, 7, 8]);
  const { gaps } = await trim(floorAt(99));
  expect(gaps).toHaveLength(1);
  expect(await kept()).toEqual([8]);
  expect((await readBytes(sample.repository, 8)).bytes).toHaveLength(9);
});

test('a trim that dies at any call leaves one piece, which the next trim finishes', async () => {
  const untouched = sample.store.clone();
  let crashes = 0;
  for (let calls = 0; ; calls += 1) {
    const store = untouched.clone();
    const faulty = faultyStore(store, { random: () => 0.5, callsBeforeCrash: calls });
    const outcome = trim(floorAt(7), { ...sample.repository, store: faulty });
    await outcome.catch(() => undefined);
    const hasCrashed = faulty.fired.length > 0;
    sample = { ...sample, store, repository: { ...sample.repository, store } };
    const { stretches, holes } = await list(sample.repository);
    expect(stretches.map(({ segment }) => segment)).toEqual([1, 2, 3, 6, 7, 8].slice(6 - stretches.length));
    expect(holes.filter(({ isRecorded }) => !isRecorded)).toEqual([]);
    for (const { segment } of stretches.slice(0, -1))
      expect((await readBytes(sample.repository, segment)).bytes).toEqual(segmentContent(segment));
    for (const name of await namesIn(store, 'locks/')) await store.remove(name);
    await trim(floorAt(7));
    expect(startOf(await list(sample.repository))).toEqual({ segment: 7, offset: 0 });
    if (!hasCrashed) {
      await outcome;
      break;
    }
    crashes += 1;
  }
  expect(crashes).toBeGreaterThan(12);
});
