import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import {
  namesIn,
  noise,
  sampleRepository,
  smallPackBytes,
  storeAgain,
  type SampleRepository,
} from '../../test/support/sample-repository.ts';
import { createRepository, noSignal } from '../../test/support/repository.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { messageOf } from '../base/errors.ts';
import { faultyStore } from '../storage/faulty.ts';
import type { Store } from '../storage/store.ts';
import type { BlobIndex, BlobLocation } from './blob-index.ts';
import { readBlob } from './blob-reader.ts';
import { loadIndex } from './load-index.ts';
import { forgetSnapshots } from './forget.ts';
import type { SnapshotId } from './ids.ts';
import { fileName } from './layout.ts';
import { PackWriter } from './pack-writer.ts';
import { prune, type PruneRequest } from './prune-execute.ts';
import { rebuildIndex } from './rebuild-index.ts';
import { seal } from './seal.ts';
import { verifyRepository } from './verify.ts';

let sample: SampleRepository;
const forget = (...ids: SnapshotId[]): Promise<void> => forgetSnapshots(sample.repository, ids, { signal: noSignal });
const pruneAll = (request: Partial<PruneRequest> = {}) =>
  prune(sample.repository, {
    maxUnused: { bytes: 0 },
    packTargetBytes: smallPackBytes,
    pool: sample.workers,
    signal: noSignal,
    ...request,
  });
const verify = () => verifyRepository(sample.repository, { level: 'data', pool: sample.workers, signal: noSignal });

beforeEach(async () => {
  sample = await sampleRepository();
});

const recordsIn = (index: BlobIndex): BlobLocation[] =>
  Array.from({ length: index.size }, (_, record) => index.at(record));

/** Two snapshots that share some files. */
async function twoSnapshots() {
  const shared = { same: noise(1, 1500), also: noise(2, 1500) };
  const first = await sample.save({ ...shared, old: noise(3, 1500), older: noise(4, 1500) });
  const second = await sample.save({ ...shared, new: noise(5, 1500) });
  return { first, second, kept: { ...shared, new: noise(5, 1500) } };
}

test('a prune after a forget frees what only the forgotten snapshot needed, and nothing else', async () => {
  const { first, second, kept } = await twoSnapshots();
  await forget(first.id);
  const before = await namesIn(sample.store);
  const decision = await pruneAll();
  expect(decision.bytes.freed).toBeGreaterThan(2500);
  expect(await namesIn(sample.store)).not.toEqual(before);
  expect(await sample.restore(second)).toEqual(kept);
  expect((await verify()).findings).toEqual([]);
  expect((await pruneAll({ isDryRun: true })).bytes).toMatchObject({ unused: 0, unindexed: 0 });
});

test('a dry run decides the same and changes nothing', async () => {
  const { first } = await twoSnapshots();
  await forget(first.id);
  const before = await namesIn(sample.store);
  const announced = await pruneAll({ isDryRun: true });
  expect(await namesIn(sample.store)).toEqual(before);
  expect(await pruneAll()).toEqual(announced);
});

test('without any snapshot everything goes', async () => {
  const { first, second } = await twoSnapshots();
  await forget(first.id, second.id);
  await pruneAll();
  expect(await namesIn(sample.store, 'data/')).toEqual([]);
  expect(await namesIn(sample.store, 'index/')).toEqual([]);
});

test.each(['snapshots/', 'index/', 'data/'])(
  'a file of %s that is damaged or missing makes it delete nothing',
  async (prefix) => {
    const { first, second } = await twoSnapshots();
    await forget(first.id);
    // Of the packs one with a tree, which the walk reads; the data is only looked at when it is moved.
    const { index } = await sample.indexed();
    const treePack = index.find('tree', second.tree);
    const names = await namesIn(sample.store, prefix);
    const name = names.find((each) => prefix !== 'data/' || each.endsWith(treePack?.pack ?? '')) ?? '';
    const bytes = await sample.store.get(name);
    const broken = Buffer.from(bytes);
    broken[20] = (broken[20] ?? 0) ^ 1;
    await sample.store.put(name, [broken]);
    const before = await namesIn(sample.store);
    await expect(pruneAll()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    expect(await namesIn(sample.store)).toEqual(before);
    if (prefix !== 'data/') return;
    await sample.store.remove(name);
    await expect(pruneAll()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    expect(await namesIn(sample.store)).toEqual(before.filter((each) => each !== name));
  },
);

test('a damaged blob is never written again: the prune stops before it deletes', async () => {
  const { first, second } = await twoSnapshots();
  await forget(first.id);
  const { repack } = await pruneAll({ isDryRun: true });
  const { index } = await sample.indexed();
  const pack = repack.find((each) => recordsIn(index).some((place) => place.pack === each && place.type === 'data'));
  const name = (await namesIn(sample.store, 'data/')).find((each) => each.endsWith(pack ?? 'none')) ?? '';
  const bytes = Buffer.from(await sample.store.get(name));
  // Every blob of the pack.
  for (let at = 5; at < bytes.length - 300; at += 100) bytes[at] = (bytes[at] ?? 0) ^ 1;
  await sample.store.put(name, [bytes]);
  const before = await namesIn(sample.store, 'data/');
  await expect(pruneAll()).rejects.toThrow(name);
  expect(await namesIn(sample.store, 'data/')).toEqual(expect.arrayContaining(before));
  expect(await sample.restore(second).catch((error: unknown) => error)).toMatchObject({ code: 'REPOSITORY_DAMAGED' });
});

test('of blobs stored twice one copy stays', async () => {
  const { second, kept, first } = await twoSnapshots();
  await storeAgain(sample);
  await forget(first.id);
  await pruneAll();
  const { index } = await sample.indexed();
  const ids = recordsIn(index).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(await sample.restore(second)).toEqual(kept);
  expect((await verify()).findings).toEqual([]);
});

test('trees that are not compressed are compressed, once, whatever may stay unused', async () => {
  const { second, kept, first } = await twoSnapshots();
  const { repository, store, workers } = sample;
  const from = await sample.indexed();
  await using writer = new PackWriter(repository, from.index, {
    signal: noSignal,
    beforeIndex: () => Promise.resolve(),
  });
  const trees = recordsIn(from.index).filter(({ type }) => type === 'tree');
  for (const { id, type } of trees) {
    const sealed = seal(repository.keys, await readBlob(from, { id, type }, noSignal));
    await writer.add({ id, type, lengthBytes: sealed.length, plainLengthBytes: 0 }, sealed);
  }
  await writer.finish();
  for (const pack of new Set(trees.map((tree) => tree.pack))) await store.remove(fileName('data', pack));
  await rebuildIndex(repository, { signal: noSignal });
  const rawPack = (await sample.indexed()).index.find('tree', second.tree)?.pack;
  const { repack } = await prune(repository, { maxUnused: 'unlimited', pool: workers, signal: noSignal });
  expect(repack).toEqual([rawPack]);
  const now = recordsIn((await sample.indexed()).index).filter(({ type }) => type === 'tree');
  expect(now).toHaveLength(trees.length);
  expect(now.every(({ plainLengthBytes }) => plainLengthBytes > 0)).toBe(true);
  expect((await verify()).findings).toEqual([]);
  expect(await sample.restore(second)).toEqual(kept);
  expect(await sample.restore(first)).toMatchObject({ old: noise(3, 1500) });
  expect((await pruneAll({ maxUnused: 'unlimited', packTargetBytes: undefined, isDryRun: true })).repack).toEqual([]);
});

test('packs that no index lists are removed', async () => {
  const { second, kept } = await twoSnapshots();
  const orphan = `data/ab/ab${'0'.repeat(62)}`;
  await sample.store.put(orphan, [Buffer.from('left by a writer that died')]);
  const decision = await pruneAll();
  expect(decision.removeUnindexed).toEqual([{ pack: `ab${'0'.repeat(62)}`, sizeBytes: 26 }]);
  expect(await namesIn(sample.store)).not.toContain(orphan);
  expect(await sample.restore(second)).toEqual(kept);
});

test('a prune that dies at any call leaves everything restorable, and the next one finishes the work', async () => {
  const { first, second, kept } = await twoSnapshots();
  await forget(first.id);
  // The last call removes the lock.
  const calls = await countCalls();
  expect(calls).toBeGreaterThan(20);
  for (let callsBeforeCrash = 1; callsBeforeCrash < calls - 1; callsBeforeCrash += 1) {
    const disk = sample.store.clone();
    const repository = { ...sample.repository, store: faultyStore(disk, { random: () => 0.5, callsBeforeCrash }) };
    const request = {
      maxUnused: { bytes: 0 },
      packTargetBytes: smallPackBytes,
      pool: sample.workers,
      signal: noSignal,
    };
    await expect(prune(repository, request)).rejects.toThrow('dead');
    const after = { ...sample.repository, store: disk };
    await prune(after, request);
    const { errors, notes } = await verifyRepository(after, { level: 'data', pool: sample.workers, signal: noSignal });
    expect({ errors, notes, callsBeforeCrash }).toEqual({ errors: 0, notes: 0, callsBeforeCrash });
    const { size } = await loadIndex(after, noSignal);
    expect(size).toBeGreaterThan(3);
  }
  await pruneAll();
  expect(await sample.restore(second)).toEqual(kept);
});

test('a power cut takes no removal back that others rely on, wherever a forget and a prune died before it', async () => {
  const { first } = await twoSnapshots();
  const request = { maxUnused: { bytes: 0 }, packTargetBytes: smallPackBytes, pool: sample.workers, signal: noSignal };
  const damages = async (store: Store) => {
    const found = await verifyRepository({ ...sample.repository, store }, { ...request, level: 'data' });
    return found.findings.filter(({ severity }) => severity === 'error');
  };
  let died = 0;
  for (let callsBeforeCrash = 1, isDone = false; !isDone; callsBeforeCrash += 1) {
    const disk = volatileDisk(sample.store.clone());
    const repository = { ...sample.repository, store: faultyStore(disk, { random: () => 0.5, callsBeforeCrash }) };
    try {
      await forgetSnapshots(repository, [first.id], { signal: noSignal });
      await prune(repository, request);
      isDone = true;
    } catch (error) {
      if (!messageOf(error).includes('dead')) throw error;
      died += 1;
    }
    expect([callsBeforeCrash, await damages(await disk.afterPowerCut())]).toEqual([callsBeforeCrash, []]);
    // Without a cut the next process sees what the dead one did, and goes on from there.
    await prune({ ...sample.repository, store: disk }, request);
    expect([callsBeforeCrash, await damages(await disk.afterPowerCut())]).toEqual([callsBeforeCrash, []]);
  }
  expect(died).toBeGreaterThan(20);
});

/** After a power cut packs that were removed are gone; all else that was removed is back, unless it was settled. */
function volatileDisk(disk: SampleRepository['store']) {
  const unsettled = new Map<string, Buffer>();
  const store: Store = {
    properties: disk.properties,
    get: (name, options) => disk.get(name, options),
    put: (name, parts, options) => disk.put(name, parts, options),
    stat: (name, options) => disk.stat(name, options),
    list: (prefix, options) => disk.list(prefix, options),
    async remove(name, options) {
      unsettled.set(name, await disk.get(name));
      await disk.remove(name, options);
    },
    settle(prefix) {
      for (const name of unsettled.keys()) if (name.startsWith(prefix)) unsettled.delete(name);
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
  const afterPowerCut = async () => {
    const after = disk.clone();
    for (const [name, bytes] of unsettled) if (!name.startsWith('data/')) await after.put(name, [bytes]);
    return after;
  };
  return { ...store, afterPowerCut };
}

async function countCalls(): Promise<number> {
  const store = faultyStore(sample.store.clone(), { random: () => 0.5 });
  await prune(
    { ...sample.repository, store },
    { maxUnused: { bytes: 0 }, packTargetBytes: smallPackBytes, pool: sample.workers, signal: noSignal },
  );
  return store.callCount;
}

test('what a crash left half written is removed after a day, by a prune that is not dry', async () => {
  await using folder = await temporaryFolder();
  const repository = await createRepository(folder.path);
  const leftover = async (name: string, ageMs: number): Promise<void> => {
    const path = join(folder.path, 'repository', name);
    await writeFile(path, 'cut');
    const seconds = (repository.clock.now() - ageMs) / 1000;
    await utimes(path, seconds, seconds);
  };
  await leftover('keys/abcd-tmp-1', 25 * 3_600_000);
  await leftover('keys/abcd-tmp-2', 23 * 3_600_000);
  const left = async () =>
    (await readdir(join(folder.path, 'repository/keys'))).filter((name) => name.includes('-tmp-'));
  await prune(repository, { isDryRun: true, signal: noSignal });
  expect((await left()).toSorted()).toEqual(['abcd-tmp-1', 'abcd-tmp-2']);
  await prune(repository, { signal: noSignal });
  expect(await left()).toEqual(['abcd-tmp-2']);
});
