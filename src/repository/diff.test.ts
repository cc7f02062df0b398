import { beforeEach, expect, test } from 'vitest';
import { namesIn, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { diffTrees, type Difference } from './diff.ts';
import { findPaths } from './find.ts';
import type { StoredSnapshot } from './snapshot.ts';
import { computeStats } from './stats.ts';

let sample: SampleRepository;
let before: StoredSnapshot;
let after: StoredSnapshot;
const old = { same: 'same', edited: 'one', removed: 'gone', turned: 'a file', 'kept/inside': 'same', 'left/x': 'x' };
const now = { same: 'same', edited: 'two!', added: 'new', 'turned/inside': 'in', 'kept/inside': 'same' };

beforeEach(async () => {
  sample = await sampleRepository();
  before = await sample.save(old);
  after = await sample.save(now);
});

async function* diffOf(one: StoredSnapshot, other: StoredSnapshot): AsyncGenerator<Difference> {
  const indexed = await sample.indexed();
  const sides = { before: { indexed, tree: one.tree }, after: { indexed, tree: other.tree } };
  yield* diffTrees(sides, noSignal);
}

test('a difference tells what was added, removed, changed or became another type, and nothing of what is equal', async () => {
  const found = await Array.fromAsync(diffOf(before, after), (each) => [each.kind, each.path]);
  // Folders between the root and the files carry the time of the backup.
  expect(found.filter(([kind]) => kind !== 'metadata')).toEqual([
    ['added', '/app/added'],
    ['content', '/app/edited'],
    ['removed', '/app/left'],
    ['removed', '/app/left/x'],
    ['removed', '/app/removed'],
    ['type', '/app/turned'],
    ['added', '/app/turned/inside'],
  ]);
  expect(found.map(([, path]) => path)).not.toContain('/app/kept/inside');
});

test('sizes before and after come with a difference', async () => {
  const found = await Array.fromAsync(diffOf(before, after));
  expect(found).toContainEqual(
    expect.objectContaining({
      kind: 'content',
      before: expect.objectContaining({ sizeBytes: 3 }),
      after: expect.objectContaining({ sizeBytes: 4 }),
    }),
  );
});

test('a tree and itself differ in nothing', async () => {
  expect(await Array.fromAsync(diffOf(after, after))).toEqual([]);
});

test('finds paths in each snapshot that has them, and reads a tree that they share once', async () => {
  const again = await sample.save(now);
  const indexed = await sample.indexed();
  let reads = 0;
  const counting: typeof indexed = {
    ...indexed,
    repository: {
      ...sample.repository,
      store: {
        ...sample.store,
        properties: sample.store.properties,
        get: (...args) => ((reads += 1), sample.store.get(...args)),
      },
    },
  };
  const search = (patterns: string[], snapshots: StoredSnapshot[]) =>
    Array.fromAsync(findPaths(counting, snapshots, { patterns, signal: noSignal }), ({ snapshot, found }) => [
      snapshot.id,
      found.map(({ path }) => path),
    ]);
  expect(await search(['inside', '/app/e*'], [before, after])).toEqual([
    [before.id, ['/app/edited', '/app/kept/inside']],
    [after.id, ['/app/edited', '/app/kept/inside', '/app/turned/inside']],
  ]);
  expect(await search(['added'], [before, after])).toEqual([[after.id, ['/app/added']]]);
  reads = 0;
  await search(['x'], [after]);
  const once = reads;
  reads = 0;
  await search(['x'], [after, { ...again, tree: after.tree }]);
  expect(reads).toBe(once);
});

test('counts what restores write, what contents are distinct, and what is stored', async () => {
  const stats = await computeStats(await sample.indexed(), [before, after], noSignal);
  const sizeOf = (files: Record<string, string>): number =>
    Object.values(files).reduce((sum, text) => sum + text.length, 0);
  expect(stats.snapshots).toEqual([
    { id: before.id, files: 6, others: 3, bytes: sizeOf(old) },
    { id: after.id, files: 5, others: 3, bytes: sizeOf(now) },
  ]);
  const contents = new Set([...Object.values(old), ...Object.values(now)]);
  expect(stats.contents).toEqual({ files: contents.size, bytes: [...contents].join('').length });
  const { index } = await sample.indexed();
  expect(stats.raw.blobs).toBe(index.size);
  const places = Array.from({ length: index.size }, (_, record) => index.at(record));
  expect(stats.raw.storedBytes).toBe(places.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  expect(stats.raw.compressionRatio).toBeCloseTo(stats.raw.plainBytes / stats.raw.storedBytes);
  expect((await namesIn(sample.store, 'data/')).length).toBeGreaterThan(1);
});
