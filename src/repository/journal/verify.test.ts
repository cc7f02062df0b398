import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
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
import { isAppError } from '../../base/errors.ts';
import type { MemoryStore } from '../../storage/memory/store.ts';
import type { Repository } from '../repository.ts';
import { seal } from '../seal.ts';
import { VerifyFindings } from '../verify-findings.ts';
import { verifyRepository } from '../verify.ts';
import { acquireJournalLease } from './lease.ts';
import { readFacts } from './read.ts';
import { verifyJournals } from './verify.ts';

const other = { ...testBranch, lineage: 'test/2' };
const openBytes = 400;

/** A journal with everything a journal may hold: two branches, sealed and open segments, a gap, a lease, a second writer. */
async function fillJournal({ repository }: SampleRepository): Promise<void> {
  await using _ = await acquireJournalLease(repository, { family: 'database', takesOver: false, signal: noSignal });
  const journal = await openTestJournal(repository, 1);
  await journal.sealSegment(sourceOf(1, segmentContent(1), { facts: { sealed: 1 } }), noSignal);
  const gap = { from: { segment: 2, offset: 0 }, to: { segment: 3, offset: 0 }, reason: 'the server removed it' };
  await journal.recordGap(gap, noSignal);
  await journal.sealSegment(sourceOf(3, segmentContent(3), { facts: { sealed: 3 } }), noSignal);
  const put = async (writer: typeof journal, from: number, to: number): Promise<void> =>
    writer.putPart({ segment: 4, offset: from, bytes: segmentContent(4).subarray(from, to), facts: { to } }, noSignal);
  await put(journal, 0, 100);
  await put(journal, 100, 300);
  const second = await openTestJournal(repository, 2);
  await put(journal, 300, 350);
  await put(second, 300, openBytes);
  const beside = await openTestJournal(repository, 1, { branch: other, writer: writerId(9) });
  await beside.sealSegment(sourceOf(1, segmentContent(11), { facts: { sealed: 11 } }), noSignal);
}

async function verify(repository: Repository, level: 'structure' | 'data' = 'data') {
  const findings = new VerifyFindings();
  const objects = await verifyJournals(repository, { level, findings, signal: noSignal, onObject: () => undefined });
  return { objects, errors: findings.list.filter(({ severity }) => severity === 'error'), list: findings.list };
}

/** Throws if any read gives what was never written there. */
async function expectNothingWrong(repository: Repository): Promise<void> {
  const expected = [
    { branch: testBranch, segment: 1, content: segmentContent(1), facts: [{ sealed: 1 }] },
    { branch: testBranch, segment: 3, content: segmentContent(3), facts: [{ sealed: 3 }] },
    {
      branch: testBranch,
      segment: 4,
      content: segmentContent(4),
      facts: [{ to: 100 }, { to: 300 }, { to: 350 }, { to: openBytes }],
    },
    { branch: other, segment: 1, content: segmentContent(11), facts: [{ sealed: 11 }] },
  ];
  for (const { branch, segment, content, facts } of expected) {
    try {
      const { bytes, from } = await readBytes(repository, segment, branch);
      expect(bytes.equals(content.subarray(from, from + bytes.length))).toBe(true);
      expect(bytes.length).toBeGreaterThanOrEqual(segment === 4 ? 1 : content.length);
      expect(facts).toContainEqual(
        await readFacts(repository, await list(repository, branch), { segment, signal: noSignal }),
      );
    } catch (error) {
      if (!isAppError(error, 'REPOSITORY_DAMAGED', 'NOT_FOUND')) throw error;
    }
  }
}

describe('whatever is done to the objects of a journal', () => {
  let sample: SampleRepository;
  let names: string[];
  beforeAll(async () => {
    sample = await sampleRepository();
    await fillJournal(sample);
    names = await namesIn(sample.store, 'journals/');
  });
  const repositoryOn = (store: MemoryStore): Repository => ({ ...sample.repository, store });
  const anyName = () => fc.nat(names.length - 1).map((at) => names[at] ?? '');

  test('nothing is found while nothing was done', async () => {
    for (const level of ['structure', 'data'] as const) {
      const { objects, list: found } = await verify(sample.repository, level);
      expect(objects).toBe(names.length);
      expect(found).toMatchObject([{ severity: 'note', message: expect.stringContaining('2:0 to 3:0 of test/1') }]);
    }
    // Two branches, a lease, a gap, three sealed segments, four parts.
    expect(names).toHaveLength(11);
  });

  test('a flipped bit is reported with the name of the object, and no read gives other bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyName(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat(7),
        async (name, where, bit) => {
          const store = sample.store.clone();
          const bytes = await store.get(name);
          const at = Math.floor(where * bytes.length);
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
          await store.put(name, [bytes]);
          expect((await verify(repositoryOn(store))).errors.map((finding) => finding.where)).toContain(name);
          await expectNothingWrong(repositoryOn(store));
        },
      ),
      { numRuns: 250 },
    );
  }, 60_000);

  test('an object that is cut short or goes on is reported, by its structure already', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyName(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.boolean(),
        async (name, where, isLonger) => {
          const store = sample.store.clone();
          const bytes = await store.get(name);
          const changed = isLonger
            ? [bytes, bytes.subarray(0, 1)]
            : [bytes.subarray(0, Math.floor(where * bytes.length))];
          await store.put(name, changed);
          for (const level of ['structure', 'data'] as const)
            expect((await verify(repositoryOn(store), level)).errors.map((finding) => finding.where)).toContain(name);
          await expectNothingWrong(repositoryOn(store));
        },
      ),
      { numRuns: 120 },
    );
  }, 60_000);

  test('two objects whose names are swapped are both reported', async () => {
    for (const [at, left] of names.entries()) {
      for (const right of names.slice(at + 1)) {
        const store = sample.store.clone();
        await store.put(left, [await sample.store.get(right)]);
        await store.put(right, [await sample.store.get(left)]);
        const found = (await verify(repositoryOn(store), 'structure')).errors.map((finding) => finding.where);
        expect(found).toEqual(expect.arrayContaining([left, right]));
        await expectNothingWrong(repositoryOn(store));
      }
    }
  }, 60_000);

  test('a copy under a name that would count for more is reported and not believed', async () => {
    for (const name of names) {
      const higher = name.replace(/0000000([12])-/, '0000000f-');
      expect(higher).not.toBe(name);
      const store = sample.store.clone();
      await store.put(higher, [await store.get(name)]);
      expect((await verify(repositoryOn(store))).errors.map((finding) => finding.where)).toContain(higher);
      await expectNothingWrong(repositoryOn(store));
      expect((await readBytes(repositoryOn(store), 4)).bytes).toHaveLength(openBytes);
    }
  });

  test('where an object vanished no read gives other bytes, and a hole that it leaves is reported', async () => {
    for (const name of names) {
      const store = sample.store.clone();
      await store.remove(name);
      const { errors } = await verify(repositoryOn(store));
      await expectNothingWrong(repositoryOn(store));
      // The newest part or the oldest segment: only a record elsewhere knows that there was one.
      const leavesHole = /\/(gaps|branches)\//.test(name);
      expect(errors.length).toBeGreaterThanOrEqual(leavesHole ? 1 : 0);
    }
    const middle = names.find((name) => name.includes('/parts/0000000000000004-000000000064-'));
    const store = sample.store.clone();
    await store.remove(middle ?? '');
    expect((await verify(repositoryOn(store))).errors.map(({ message }) => message).join()).toContain(
      '4:100 to 4:300 of test/1 is missing',
    );
  });

  test('what belongs to another repository, or is sealed with the master key itself, is reported', async () => {
    const copied = { ...sample.repository, config: { ...sample.repository.config, id: 'f'.repeat(64) } };
    expect((await verify(copied)).errors.map((finding) => finding.where)).toEqual(expect.arrayContaining(names));
    for (const name of names) {
      const store = sample.store.clone();
      await store.put(name, [seal(sample.repository.keys, Buffer.from('{"magic":"lifeboat journal 1"}'))]);
      expect((await verify(repositoryOn(store))).errors.map((finding) => finding.where)).toContain(name);
    }
  });

  test('names that nobody of ours gives are reported', async () => {
    const store = sample.store.clone();
    const folder = names[0]?.slice(0, 74) ?? '';
    const strange = [
      'journals/x',
      'journals/leases/x',
      `${folder}parts/x`,
      `${folder}segments/x/parts/${'0'.repeat(16)}`,
    ];
    for (const name of strange) await store.put(name, [Buffer.from('x')]);
    expect(
      (await verify(repositoryOn(store))).errors
        .map((finding) => finding.where)
        .toSorted((left, right) => (left < right ? -1 : 1)),
    ).toEqual(strange.toSorted((left, right) => (left < right ? -1 : 1)));
  });

  test('the verification of a repository covers its journals, in parts if asked', async () => {
    const store = sample.store.clone();
    const sealed = names.filter((name) => name.includes('/segments/'));
    for (const name of sealed) {
      const bytes = await store.get(name);
      bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.length - 1);
      await store.put(name, [bytes]);
    }
    const run = (level: 'structure' | 'data', sampled?: { part: number; of: number }) =>
      verifyRepository(repositoryOn(store), { level, sample: sampled, pool: sample.workers, signal: noSignal });
    expect(await run('structure')).toMatchObject({ errors: 0, counts: { journalObjects: names.length } });
    expect((await run('data')).errors).toBe(3);
    const parts = [await run('data', { part: 1, of: 2 }), await run('data', { part: 2, of: 2 })];
    expect(parts.map(({ errors }) => errors)).toEqual([0, 3]);
  });
});
