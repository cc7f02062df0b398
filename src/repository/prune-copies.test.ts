// What a prune does with blobs that are stored several times, some of the copies being damaged.
import { beforeEach, expect, test } from 'vitest';
import { noSignal } from '../../test/support/repository.ts';
import {
  damageBlobs,
  namesIn,
  noise,
  sampleRepository,
  smallPackBytes,
  storeAgain,
  type SampleRepository,
} from '../../test/support/sample-repository.ts';
import { watchRepository } from '../../test/support/watched-store.ts';
import { AppError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import type { BlobLocation } from './blob-index.ts';
import { readBlob } from './blob-reader.ts';
import { forgetSnapshots } from './forget.ts';
import type { PackId } from './ids.ts';
import { loadIndex } from './load-index.ts';
import { prune, type PruneRequest } from './prune-execute.ts';
import type { Repository } from './repository.ts';
import { loadSnapshots, type StoredSnapshot } from './snapshot.ts';
import { findUsedBlobs } from './used-blobs.ts';
import { verifyRepository } from './verify.ts';
import { freshSeed } from '../../test/support/fresh-seed.ts';

const files = { same: noise(1, 1500), also: noise(2, 1500), new: noise(5, 1500), large: noise(6, 30_000) };
let sample: SampleRepository;
let snapshot: StoredSnapshot;

beforeEach(async () => {
  sample = await sampleRepository();
  const first = await sample.save({ same: files.same, old: noise(3, 1500), older: noise(4, 4000) });
  snapshot = await sample.save(files);
  await forgetSnapshots(sample.repository, [first.id], { signal: noSignal });
});

/** The same repository as a separate store. */
const clone = (): Repository => ({ ...sample.repository, store: sample.store.clone() });
const pruneIt = (repository: Repository, request: Partial<PruneRequest> = {}) =>
  prune(repository, { packTargetBytes: smallPackBytes, pool: sample.workers, signal: noSignal, ...request });
const noneUnused = { maxUnused: { bytes: 0 } };
const findingsIn = async (repository: Repository) =>
  (await verifyRepository(repository, { level: 'data', pool: sample.workers, signal: noSignal })).findings;

async function placesIn(repository: Repository): Promise<BlobLocation[]> {
  const index = await loadIndex(repository, noSignal);
  return Array.from({ length: index.size }, (_, record) => index.at(record));
}

/** For each blob with several copies all of them. */
async function copiesIn(repository: Repository): Promise<BlobLocation[][]> {
  const places = await placesIn(repository);
  const copies = Object.values(Object.groupBy(places, ({ type, id }) => `${type}${id}`));
  return copies.filter((each): each is BlobLocation[] => each !== undefined && each.length > 1);
}

/** Rejects if a blob that a snapshot needs can't be read from any place. */
async function readNeeded(repository: Repository): Promise<number> {
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  const used = await findUsedBlobs(indexed, await loadSnapshots(repository, noSignal), { signal: noSignal });
  for (let record = 0; record < indexed.index.size; record += 1)
    if (used.has(record)) await readBlob(indexed, indexed.index.at(record), noSignal);
  return used.count;
}

test.each([
  ['data', 0],
  ['data', 1],
  ['tree', 0],
  ['tree', 1],
] as const)('of two copies of each %s blob the good ones stay if those numbered %i are damaged', async (type, bad) => {
  await storeAgain(sample, type);
  const { repository } = sample;
  const copies = await copiesIn(repository);
  expect(copies.length).toBeGreaterThan(2);
  await damageBlobs(
    repository.store,
    copies.flatMap((each) => each.slice(bad, bad + 1)),
  );
  // First whole packs only, which asks which copies may go unread; then all that is not needed.
  await pruneIt(repository, { ...noneUnused, maxRepackBytes: 0 });
  expect(await sample.restore(snapshot)).toEqual(files);
  await pruneIt(repository, noneUnused);
  expect(await sample.restore(snapshot)).toEqual(files);
  expect(await findingsIn(repository)).toEqual([]);
});

test('packs that can’t be read at all give way to the copies in another', async () => {
  const unreadable = new Set((await sample.indexed()).index.packs);
  await storeAgain(sample);
  // Those of trees are needed to know what to keep.
  for (const { type, pack } of await placesIn(sample.repository)) if (type === 'tree') unreadable.delete(pack);
  const watched = watchRepository(sample.repository, {
    beforeGet(name) {
      if (unreadable.has(name.slice('data/00/'.length) as PackId))
        throw new AppError('STORE_FAILED', 'could not read: EIO', { hint: 'Look at the disk.' });
    },
  });
  await pruneIt(watched, noneUnused);
  expect(await sample.restore(snapshot)).toEqual(files);
  expect(await findingsIn(sample.repository)).toEqual([]);
});

test('if all copies of blobs are damaged nothing is deleted', async () => {
  await storeAgain(sample);
  await damageBlobs(sample.store, (await copiesIn(sample.repository)).flat());
  const before = await namesIn(sample.store);
  const pruned = pruneIt(sample.repository, { ...noneUnused, maxRepackBytes: 0 });
  await expect(pruned).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  expect(await namesIn(sample.store)).toEqual(before);
});

test('a dry run finds the damage too, and decides the same', async () => {
  await storeAgain(sample);
  const copies = await copiesIn(sample.repository);
  await damageBlobs(
    sample.store,
    copies.flatMap(([first]) => first ?? []),
  );
  const announced = await pruneIt(sample.repository, { ...noneUnused, isDryRun: true });
  expect(await pruneIt(sample.repository, noneUnused)).toEqual(announced);
});

test('with copies damaged at random, one of each left good, no prune loses what is needed', async () => {
  const seed = freshSeed('damaged copies');
  const random = seededRandom(seed);
  await storeAgain(sample);
  await storeAgain(sample, 'tree');
  const copies = await copiesIn(sample.repository);
  const needed = await readNeeded(sample.repository);
  for (let round = 0; round < 40; round += 1) {
    const repository = clone();
    for (const places of copies) {
      const good = Math.floor(random() * places.length);
      const others = places.filter((_, number) => number !== good);
      await damageBlobs(
        repository.store,
        others.filter(() => random() < 0.7),
      );
    }
    for (let again = 0; again < 2; again += 1) {
      const maxUnused = random() < 0.5 ? ('unlimited' as const) : { percent: random() * 60 };
      await pruneIt(repository, { maxUnused, ...(random() < 0.5 && { maxRepackBytes: random() * 40_000 }) });
      expect({ round, blobs: await readNeeded(repository) }).toEqual({ round, blobs: needed });
    }
    await pruneIt(repository, noneUnused);
    expect({ round, findings: await findingsIn(repository) }).toEqual({ round, findings: [] });
  }
});
