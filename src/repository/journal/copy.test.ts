import { beforeEach, expect, test } from 'vitest';
import {
  journalWithGap,
  list,
  openTestJournal,
  putPart,
  readBytes,
  sealWhole,
  segmentContent,
  sourceOf,
  testBranch,
} from '../../../test/support/journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import { faultyStore } from '../../storage/faulty.ts';
import { readBranches } from './branches.ts';
import { copyJournals, decideJournalCopy } from './copy.ts';
import { objectMaxBytes } from './frames.ts';
import { readFacts, readGap } from './read.ts';
import type { JournalWriter } from './writer.ts';

let source: SampleRepository;
let target: SampleRepository;
let journal: JournalWriter;
const copy = (to = target.repository) => copyJournals(source.repository, to, { signal: noSignal });

beforeEach(async () => {
  [source, target] = [await sampleRepository(), await sampleRepository()];
  journal = await journalWithGap(source.repository, { before: [1, 2], behind: [5], parts: [100, 250], epoch: 3 });
});

async function expectCopied(): Promise<void> {
  const [from, to] = [await list(source.repository), await list(target.repository)];
  const shape = ({ stretches, holes }: typeof from) => [
    stretches.map(({ segment, from: start, to: end, isSealed }) => ({ segment, start, end, isSealed })),
    holes,
  ];
  expect(shape(to)).toEqual(shape(from));
  for (const { segment } of from.stretches) {
    const request = { segment, signal: noSignal };
    const [left, right] = [await readBytes(source.repository, segment), await readBytes(target.repository, segment)];
    expect(right).toMatchObject({ problems: [], isComplete: true });
    expect(right.bytes.equals(left.bytes)).toBe(true);
    expect(await readFacts(target.repository, to, request)).toEqual(await readFacts(source.repository, from, request));
  }
}

test('what a copy would bring is told beforehand, and nothing of it is written', async () => {
  const decide = () => decideJournalCopy(source.repository, target.repository, { signal: noSignal });
  const before = await namesIn(target.store);
  expect(await decide()).toEqual({ segments: 4, bytes: 3250, problems: [] });
  expect(await namesIn(target.store)).toEqual(before);
  await copy();
  expect(await decide()).toEqual({ segments: 0, bytes: 0, problems: [] });
});

test('a copy holds the same segments, facts, gaps and branches, under keys of its own', async () => {
  expect(await copy()).toEqual({ segments: 4, bytes: 3250, problems: [] });
  await expectCopied();
  const [gap] = (await list(target.repository)).gaps;
  expect(gap && (await readGap(target.repository, { lineage: testBranch.lineage, gap, signal: noSignal })).reason).toBe(
    'lost',
  );
  expect((await readBranches(target.repository, noSignal)).branches).toMatchObject([testBranch]);
});

test('what the target does not need is not brought, and neither is the gap before it', async () => {
  const copyFrom = (segment: number) =>
    copyJournals(source.repository, target.repository, {
      signal: noSignal,
      floors: new Map([[testBranch.lineage, { segment, offset: 300 }]]),
    });
  expect(await copyFrom(99)).toEqual({ segments: 1, bytes: 250, problems: [] });
  expect(await copyFrom(5)).toEqual({ segments: 1, bytes: 1000, problems: [] });
  const { stretches, gaps } = await list(target.repository);
  expect(stretches.map(({ segment }) => segment)).toEqual([5, 6]);
  expect(gaps).toEqual([]);
  await copyFrom(0);
  await expectCopied();
});

test('the next copy brings only what is new', async () => {
  await copy();
  expect(await copy()).toEqual({ segments: 0, bytes: 0, problems: [] });
  await putPart(journal, 6, [250, 400]);
  expect(await copy()).toMatchObject({ segments: 1, bytes: 400 });
  await sealWhole(journal, 6);
  await putPart(journal, 7, [0, 9]);
  expect(await copy()).toMatchObject({ segments: 2, bytes: 1009 });
  await expectCopied();
  expect((await namesIn(target.store, 'journals/')).filter((name) => name.includes('/parts/'))).toHaveLength(1);
});

test('a segment of several objects is copied without being held whole', async () => {
  const branch = { ...testBranch, lineage: 'test/large', segmentBytes: 2 * objectMaxBytes };
  const content = Buffer.alloc(branch.segmentBytes, 'again and ');
  content.set(segmentContent(1, 5000), objectMaxBytes - 2500);
  const large = await openTestJournal(source.repository, 4, { branch });
  await large.sealSegment(sourceOf(1, content), noSignal);
  // Parts in the target that hold the same bytes make the copy read its source twice.
  const direct = await openTestJournal(target.repository, 1, { branch });
  await direct.putPart({ segment: 1, offset: 0, bytes: content.subarray(0, 3_000_000), facts: {} }, noSignal);
  await copyJournals(source.repository, target.repository, { lineages: [branch.lineage], signal: noSignal });
  expect((await readBytes(target.repository, 1, branch)).bytes.equals(content)).toBe(true);
  expect((await list(target.repository)).stretches).toEqual([]);
});

test('what is damaged in the source is told by name and left out', async () => {
  const sealed = (await namesIn(source.store, 'journals/')).filter((name) => name.includes('/segments/'));
  const [, second = ''] = sealed;
  const bytes = await source.store.get(second);
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
  await source.store.put(second, [bytes]);
  const { segments, problems } = await copy();
  expect(segments).toBe(3);
  expect(problems).toMatchObject([{ message: expect.stringContaining(second) }]);
  expect((await list(target.repository)).stretches.map(({ segment }) => segment)).toEqual([1, 5, 6]);
});

test('the journal of a server that went its own way is refused before a byte of it is stored', async () => {
  const direct = await openTestJournal(target.repository, 1);
  await sealWhole(direct, 1, segmentContent(99));
  const before = await namesIn(target.store, 'journals/');
  await expect(copy()).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
  expect(await namesIn(target.store, 'journals/')).toEqual(before);
  target = await sampleRepository();
  const ahead = await openTestJournal(target.repository, 1);
  await ahead.putPart({ segment: 6, offset: 0, bytes: segmentContent(98).subarray(0, 50), facts: {} }, noSignal);
  await expect(copy()).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
  expect((await readBytes(target.repository, 6)).bytes).toEqual(segmentContent(98).subarray(0, 50));
});

test('whoever receives into the target himself goes on beside copies', async () => {
  const direct = await openTestJournal(target.repository, 1);
  await putPart(direct, 6, [0, 60]);
  await copy();
  await putPart(direct, 6, [60, 300]);
  expect((await readBytes(target.repository, 6)).bytes).toEqual(segmentContent(6).subarray(0, 300));
  await sealWhole(direct, 6);
  expect(await readBytes(target.repository, 6)).toMatchObject({ bytes: segmentContent(6), problems: [] });
});

test('a copy that dies at any call leaves nothing wrong, and the next one finishes it', async () => {
  const empty = target.store.clone();
  let crashes = 0;
  for (let calls = 0; ; calls += 1) {
    const store = empty.clone();
    const faulty = faultyStore(store, { random: () => 0.5, callsBeforeCrash: calls });
    const outcome = copy({ ...target.repository, store: faulty });
    await outcome.catch(() => undefined);
    target = { ...target, store, repository: { ...target.repository, store } };
    for (const { segment, isSealed } of (await list(target.repository)).stretches) {
      const { bytes } = await readBytes(target.repository, segment);
      expect(bytes).toEqual(segmentContent(segment).subarray(0, isSealed ? undefined : bytes.length));
    }
    for (const name of await namesIn(store, 'locks/')) await store.remove(name);
    await copy();
    await expectCopied();
    if (faulty.fired.length === 0) {
      await outcome;
      break;
    }
    crashes += 1;
  }
  expect(crashes).toBeGreaterThan(10);
});
