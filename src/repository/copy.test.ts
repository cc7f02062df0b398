import { beforeEach, expect, test } from 'vitest';
import {
  namesIn,
  noise,
  sampleRepository,
  smallPackBytes,
  type SampleRepository,
} from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { faultyStore } from '../storage/faulty.ts';
import { copySnapshots, decideCopy, type CopyOptions, type CopyResult } from './copy.ts';
import { forgetSnapshots } from './forget.ts';
import { loadIndex } from './load-index.ts';
import { prune } from './prune-execute.ts';
import type { Repository } from './repository.ts';
import { loadSnapshots, type StoredSnapshot } from './snapshot.ts';
import { verifyRepository } from './verify.ts';

let source: SampleRepository;
let target: SampleRepository;
let first: StoredSnapshot;
let second: StoredSnapshot;
const files = { shared: noise(1, 3000), old: noise(2, 3000), text: 'many words '.repeat(200) };

beforeEach(async () => {
  source = await sampleRepository();
  target = await sampleRepository();
  first = await source.save(files, ['red']);
  second = await source.save({ ...files, 'deep/new': noise(3, 3000) });
});

const copy = (options: Partial<CopyOptions> = {}, into: Repository = target.repository): Promise<CopyResult> =>
  copySnapshots(source.repository, into, {
    snapshots: [first.id, second.id],
    pool: source.workers,
    packTargetBytes: smallPackBytes,
    signal: noSignal,
    ...options,
  });
const copies = (): Promise<StoredSnapshot[]> => loadSnapshots(target.repository, noSignal);
const verify = () => verifyRepository(target.repository, { level: 'data', pool: target.workers, signal: noSignal });

test('copies restore to the same files under other keys, and name their originals', async () => {
  const { snapshots } = await copy();
  const [one, two] = await copies();
  expect(snapshots).toEqual([
    { from: first.id, to: one?.id, wasThere: false },
    { from: second.id, to: two?.id, wasThere: false },
  ]);
  expect(one).toEqual({ ...first, id: one?.id, parent: undefined, original: first.id });
  expect(await target.restore(two ?? second)).toEqual({ ...files, 'deep/new': noise(3, 3000) });
  expect((await verify()).findings).toEqual([]);
});

test('what a copy would send is told beforehand to the blob, and nothing of it is written', async () => {
  await copy({ snapshots: [first.id] });
  const before = await namesIn(target.store);
  const { missing, alreadyThere, ...sizes } = await decideCopy(source.repository, target.repository, {
    snapshots: [first.id, second.id, second.id],
    signal: noSignal,
  });
  expect([alreadyThere.map(({ id }) => id), missing.map(({ id }) => id)]).toEqual([[first.id], [second.id]]);
  expect(await namesIn(target.store)).toEqual(before);
  const { blobs, blobBytes } = await copy();
  expect(sizes).toEqual({ blobs, blobBytes });
});

test('a damaged snapshot of the target does not keep others from coming', async () => {
  await target.store.put(`snapshots/${'0'.repeat(64)}`, [Buffer.from('rubbish')]);
  const { snapshots } = await copy();
  expect(snapshots.map(({ from }) => from)).toEqual([first.id, second.id]);
});

test('what zstd made of a blob is not made again', async () => {
  await copy();
  const [from, to] = [await source.indexed(), await target.indexed()];
  for (let record = 0; record < from.index.size; record += 1) {
    const { type, id, lengthBytes, plainLengthBytes } = from.index.at(record);
    expect(to.index.find(type, id)).toMatchObject({ lengthBytes, plainLengthBytes });
  }
});

test('a second copy sends nothing and makes no second snapshot', async () => {
  await copy();
  const before = await namesIn(target.store);
  const { snapshots, blobs } = await copy();
  expect([blobs, snapshots.map(({ wasThere }) => wasThere)]).toEqual([0, [true, true]]);
  expect(await namesIn(target.store)).toEqual(before);
});

test('a copy of a copy is recognised by its original', async () => {
  await copy();
  const third = await sampleRepository();
  await copy({ snapshots: [first.id] }, third.repository);
  const [made] = await copies();
  const { snapshots } = await copySnapshots(target.repository, third.repository, {
    snapshots: [made?.id ?? first.id],
    pool: target.workers,
    signal: noSignal,
  });
  expect(snapshots).toMatchObject([{ wasThere: true }]);
});

test('blobs that the target has are not sent again', async () => {
  await copy({ snapshots: [first.id] });
  const { blobs } = await copy({ snapshots: [second.id] });
  // The new file, its folder, /app and the root.
  expect(blobs).toBe(4);
  expect((await verify()).findings).toEqual([]);
});

test('a tree that the target knows, but whose files were pruned there, is filled again', async () => {
  const more = { ...files, n1: noise(4, 4500), n2: noise(5, 4500), n3: noise(6, 4500) };
  second = await source.save(more);
  await copy();
  const [, copied] = await copies();
  await forgetSnapshots(target.repository, [copied?.id ?? second.id], { signal: noSignal });
  // Only whole packs go: the tree stays in a pack with others, the files were alone in theirs.
  await prune(target.repository, { maxRepackBytes: 0, maxUnused: 'unlimited', pool: target.workers, signal: noSignal });
  const { index } = await target.indexed();
  expect(index.has('tree', second.tree)).toBe(true);
  await expect(target.restore(second)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  await copy();
  expect((await verify()).errors).toBe(0);
  expect(await target.restore(second)).toEqual(more);
});

test('a copy that dies at any call is resumed by the next, which sends only what is missing', async () => {
  const whole = faultyStore(target.store.clone(), { random: () => 0.5 });
  const { blobs: allBlobs } = await copy({}, { ...target.repository, store: whole });
  let resumed = 0;
  for (let callsBeforeCrash = 1; callsBeforeCrash < whole.callCount - 1; callsBeforeCrash += 1) {
    const disk = target.store.clone();
    const dying = { ...target.repository, store: faultyStore(disk, { random: () => 0.5, callsBeforeCrash }) };
    await expect(copy({}, dying)).rejects.toThrow('dead');
    const after = { ...target.repository, store: disk };
    const { blobs } = await copy({}, after);
    if (blobs < allBlobs) resumed += 1;
    const { errors } = await verifyRepository(after, { level: 'data', pool: target.workers, signal: noSignal });
    const snapshots = await loadSnapshots(after, noSignal);
    expect({ callsBeforeCrash, errors, count: snapshots.length }).toEqual({ callsBeforeCrash, errors: 0, count: 2 });
  }
  expect(resumed).toBeGreaterThan(0);
});

test('a damaged blob of the source is not copied, and no snapshot that needs it appears', async () => {
  const { index } = await source.indexed();
  for (let record = 0; record < index.size; record += 1) {
    const { type, pack, offsetBytes } = index.at(record);
    if (type !== 'data') continue;
    const name = `data/${pack.slice(0, 2)}/${pack}`;
    const bytes = await source.store.get(name);
    bytes[offsetBytes + 18] = (bytes[offsetBytes + 18] ?? 0) ^ 1;
    await source.store.put(name, [bytes]);
  }
  await expect(copy()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  expect(await copies()).toEqual([]);
  expect((await loadIndex(target.repository, noSignal)).packs.length).toBeLessThan(3);
});
