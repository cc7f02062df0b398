import { beforeEach, expect, test } from 'vitest';
import { namesIn, noise, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { faultyStore } from '../storage/faulty.ts';
import { rebuildIndex } from './rebuild-index.ts';
import type { StoredSnapshot } from './snapshot.ts';
import { verifyRepository } from './verify.ts';

let sample: SampleRepository;
let snapshot: StoredSnapshot;
const files = Object.fromEntries(Array.from({ length: 130 }, (_, at) => [`f${at}`, noise(at, 40)]));
const verify = () => verifyRepository(sample.repository, { level: 'data', pool: sample.workers, signal: noSignal });

beforeEach(async () => {
  sample = await sampleRepository();
  snapshot = await sample.save(files); // More than 100 entries: a header longer than the first read.
});

test('an index that was lost is made again from the packs', async () => {
  const names = await namesIn(sample.store, 'index/');
  for (const name of names) await sample.store.remove(name);
  const found = await rebuildIndex(sample.repository, { signal: noSignal });
  expect(found).toMatchObject({ indexesRemoved: 0, indexesWritten: 1, unreadable: [] });
  expect(await sample.restore(snapshot)).toEqual(files);
  expect((await verify()).findings).toEqual([]);
});

test('damaged index files are replaced', async () => {
  for (const name of await namesIn(sample.store, 'index/')) await sample.store.put(name, [Buffer.from('rubbish')]);
  await rebuildIndex(sample.repository, { signal: noSignal });
  expect((await verify()).findings).toEqual([]);
});

/** Another snapshot, in a pack whose header can't be read. */
async function withDamagedHeader() {
  const other = { other: noise(500, 5000) };
  const otherSnapshot = await sample.save(other);
  const { index } = await sample.indexed();
  const pack = index.packs.at(-1) ?? '';
  const name = `data/${pack.slice(0, 2)}/${pack}`;
  const bytes = await sample.store.get(name);
  bytes[bytes.length - 1] = 0xff;
  await sample.store.put(name, [bytes]);
  return { other, otherSnapshot, name, packs: index.packs.length };
}

test('a pack whose header is damaged is named, and stays listed as the old index has it', async () => {
  const damaged = await withDamagedHeader();
  const { takenOver, unreadable } = await rebuildIndex(sample.repository, { signal: noSignal });
  expect({ takenOver, unreadable }).toMatchObject({ takenOver: [{ file: damaged.name }], unreadable: [] });
  expect((await sample.indexed()).index.packs).toHaveLength(damaged.packs);
  expect(await sample.restore(damaged.otherSnapshot)).toEqual(damaged.other);
});

test('a pack whose header is damaged is named and left out where no index tells what is in it', async () => {
  const damaged = await withDamagedHeader();
  for (const name of await namesIn(sample.store, 'index/')) await sample.store.remove(name);
  const { takenOver, unreadable } = await rebuildIndex(sample.repository, { signal: noSignal });
  expect({ takenOver, unreadable }).toMatchObject({ takenOver: [], unreadable: [{ file: damaged.name }] });
  expect((await sample.indexed()).index.packs).toHaveLength(damaged.packs - 1);
});

test('a store that fails in between leaves the old index files where they are', async () => {
  const before = await namesIn(sample.store, 'index/');
  const store = faultyStore(sample.store, { random: () => 0, chances: { refused: 0 }, callsBeforeCrash: 9 });
  await expect(rebuildIndex({ ...sample.repository, store }, { signal: noSignal })).rejects.toThrow('dead');
  expect(await namesIn(sample.store, 'index/')).toEqual(expect.arrayContaining(before));
  expect(await sample.restore(snapshot)).toEqual(files);
});
