import { beforeEach, expect, test } from 'vitest';
import { backUpBase, sealedJournal } from '../../../test/support/journal-bases.ts';
import { list, readBytes, segmentContent, testBranch } from '../../../test/support/journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import { forgetSnapshots } from '../../repository/forget.ts';
import { readBranches, type StoredBranch } from '../../repository/journal/branches.ts';
import { copyJournals } from '../../repository/journal/copy.ts';
import { acquireLock } from '../../repository/lock.ts';
import type { Repository } from '../../repository/repository.ts';
import { saveSnapshot, withoutId, type StoredSnapshot } from '../../repository/snapshot.ts';
import { faultyStore } from '../../storage/faulty.ts';
import { neededFrom, trimJournals, type TrimRequest } from './trim.ts';

const first: StoredBranch = { ...testBranch, about: { ancestors: [] } };
/** Left the first one in segment 6. */
const second: StoredBranch = {
  ...testBranch,
  lineage: 'test/2',
  about: { ancestors: [{ lineage: first.lineage, at: { segment: 6, offset: 500 } }] },
};
/** Of another component. */
const other: StoredBranch = { ...testBranch, lineage: 'other/1', about: { ancestors: [] } };

let sample: SampleRepository;
let bases: { readonly early: StoredSnapshot; readonly late: StoredSnapshot; readonly after: StoredSnapshot };

const save = (component: string, lineage: string, segment: number): Promise<StoredSnapshot> =>
  backUpBase(sample.repository, { component, lineage, segment, pool: sample.workers });

beforeEach(async () => {
  sample = await sampleRepository();
  await sealedJournal(sample.repository, first, [1, 2, 3, 4, 5, 6, 7]);
  await sealedJournal(sample.repository, second, [6, 7, 8, 9, 10]);
  await sealedJournal(sample.repository, other, [1, 2, 3, 4, 5]);
  bases = {
    early: await save('database', first.lineage, 2),
    late: await save('database', first.lineage, 5),
    after: await save('database', second.lineage, 9),
  };
  await save('orders', other.lineage, 3);
});

const trim = (request: Partial<TrimRequest> = {}, repository: Repository = sample.repository) =>
  trimJournals(repository, { isDryRun: false, signal: noSignal, pool: sample.workers, ...request });
const kept = async (branch = first): Promise<number[]> =>
  (await list(sample.repository, branch)).stretches.map(({ segment }) => segment);
const forget = (...snapshots: readonly StoredSnapshot[]): Promise<void> =>
  forgetSnapshots(
    sample.repository,
    snapshots.map(({ id }) => id),
    { signal: noSignal },
  );
const ofBranch = ({ branches }: Awaited<ReturnType<typeof trim>>, { lineage } = first) =>
  branches.find((branch) => branch.lineage === lineage);

test('each journal goes up to where its oldest backup begins, and branches to which one leads stay whole', async () => {
  const result = await trim();
  expect(await kept(first)).toEqual([2, 3, 4, 5, 6, 7]);
  expect(await kept(second)).toEqual([6, 7, 8, 9, 10]);
  expect(await kept(other)).toEqual([3, 4, 5]);
  expect(ofBranch(result)).toMatchObject({
    standing: 'led-to',
    removed: { segments: 1, first: 1, last: 1 },
    kept: { segments: 6, first: 2, last: 7 },
    keptBy: { id: bases.early.id },
  });
  expect(result.freedBytes).toBeGreaterThan(3000);
  expect(await trim()).toMatchObject({ freedBytes: 0, problems: [] });
});

test('once no backup leads through a branch, it shrinks with those of its descendants, down to its end', async () => {
  await forget(bases.early);
  await trim();
  expect(await kept(first)).toEqual([5, 6, 7]);
  await forget(bases.late);
  expect(ofBranch(await trim())).toMatchObject({ standing: 'passed', kept: { segments: 1, first: 7 } });
  expect(await kept(first)).toEqual([7]);
  expect(await kept(second)).toEqual([9, 10]);
});

test('a dry run tells what would go without the snapshots that are about to go, and touches nothing', async () => {
  const before = await namesIn(sample.store);
  const without = new Set([bases.early.id]);
  const told = await trim({ isDryRun: true, without });
  expect(await namesIn(sample.store)).toEqual(before);
  expect(ofBranch(told)).toMatchObject({ removed: { first: 1, last: 4 }, keptBy: { id: bases.late.id } });
  await forget(bases.early);
  expect(await trim()).toEqual(told);
});

test('a journal that no backup leads to stays until it is named, and then but for its end', async () => {
  await forget(bases.early, bases.late, bases.after);
  const result = await trim();
  expect(ofBranch(result)).toMatchObject({ standing: 'none', removed: undefined, kept: { segments: 7 } });
  expect(await kept(first)).toHaveLength(7);
  await trim({ dropped: [first.lineage] });
  expect(await kept(first)).toEqual([7]);
  expect(await kept(second)).toHaveLength(5);
  await expect(trim({ dropped: ['test/9'] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a journal that a backup needs can not be dropped, nor anything beside it by the way', async () => {
  const before = await namesIn(sample.store, 'journals/');
  for (const branch of [first, second]) {
    const message = `snapshot ${bases.early.id.slice(0, 8)} needs the journal ${branch.lineage}`;
    await expect(trim({ dropped: [branch.lineage] })).rejects.toMatchObject({ code: 'USAGE', message });
  }
  expect(await namesIn(sample.store, 'journals/')).toEqual(before);
});

test('a snapshot that restic rewrote still holds its journal, by the facts inside', async () => {
  const { lifeboat: _, ...rewritten } = withoutId(bases.early);
  const { id } = await saveSnapshot(sample.repository, rewritten, noSignal);
  await forget(bases.early);
  expect(ofBranch(await trim())).toMatchObject({ keptBy: { id } });
  expect(await kept(first)).toEqual([2, 3, 4, 5, 6, 7]);
});

test('nothing goes if it can not be known what a snapshot needs', async () => {
  const { lifeboat: _, ...rewritten } = withoutId(bases.early);
  const lost = await saveSnapshot(sample.repository, { ...rewritten, tree: 'ab'.repeat(32) as never }, noSignal);
  await expect(trim()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  await forget(lost);
  await sample.store.put(`snapshots/${'cd'.repeat(32)}`, [Buffer.from('damaged')]);
  await expect(trim()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  expect(await kept(first)).toHaveLength(7);
});

test('a branch whose description is damaged stays, and is told', async () => {
  const [name = ''] = await namesIn(sample.store, 'journals/branches/');
  const bytes = Buffer.from(await sample.store.get(name));
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await sample.store.put(name, [bytes]);
  const before = await namesIn(sample.store, 'journals/');
  const result = await trim();
  expect(result.problems).toMatchObject([{ name }]);
  const gone = before.length - (await namesIn(sample.store, 'journals/')).length;
  expect(gone).toBe(result.branches.reduce((sum, { removed }) => sum + (removed?.segments ?? 0), 0));
});

test('while a backup runs nothing is trimmed', async () => {
  await using _ = await acquireLock(sample.repository, { isExclusive: false, signal: noSignal });
  await expect(trim()).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
  expect(await kept(first)).toHaveLength(7);
  expect(ofBranch(await trim({ isDryRun: true }))?.removed).toMatchObject({ segments: 1 });
});

test('a repository without journals is not even locked', async () => {
  const { repository } = await sampleRepository();
  await using _ = await acquireLock(repository, { isExclusive: false, signal: noSignal });
  expect(await trim({}, repository)).toEqual({ branches: [], freedBytes: 0, problems: [] });
});

test('a trim that dies at any call leaves what every backup needs, and the next one finishes it', async () => {
  await forget(bases.early);
  const untouched = sample.store.clone();
  let crashes = 0;
  for (let calls = 0, hasCrashed = true; hasCrashed; calls += 1) {
    const store = untouched.clone();
    const faulty = faultyStore(store, { random: () => 0.5, callsBeforeCrash: calls });
    const outcome = trim({}, { ...sample.repository, store: faulty });
    await outcome.catch(() => undefined);
    hasCrashed = faulty.fired.length > 0;
    if (hasCrashed) crashes += 1;
    else await outcome;
    sample = { ...sample, store, repository: { ...sample.repository, store } };
    await expectReadable(5, first, 7);
    await expectReadable(6, second, 10);
    await expectReadable(3, other, 5);
    for (const name of await namesIn(store, 'locks/')) await store.remove(name);
    await trim();
    expect([await kept(first), await kept(second), await kept(other)]).toEqual([
      [5, 6, 7],
      [6, 7, 8, 9, 10],
      [3, 4, 5],
    ]);
  }
  expect(crashes).toBeGreaterThan(20);
});

async function expectReadable(from: number, branch: StoredBranch, to: number): Promise<void> {
  for (let segment = from; segment <= to; segment += 1)
    expect((await readBytes(sample.repository, segment, branch)).bytes).toEqual(segmentContent(segment));
}

test('a copy to a repository that keeps younger backups only brings their journals only', async () => {
  const { repository } = await sampleRepository();
  await backUpBase(repository, { component: 'database', lineage: second.lineage, segment: 9 });
  const { branches } = await readBranches(sample.repository, noSignal);
  const floors = await neededFrom(repository, branches, { signal: noSignal });
  expect(floors).toEqual(
    new Map([first, second].map(({ lineage }) => [lineage, { segment: 9, offset: 100 }] as const)),
  );
  await copyJournals(sample.repository, repository, { signal: noSignal, floors });
  expect((await list(repository, second)).stretches.map(({ segment }) => segment)).toEqual([9, 10]);
  expect(await trim({}, repository)).toMatchObject({ freedBytes: 0 });
});
