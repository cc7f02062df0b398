import { beforeEach, expect, test } from 'vitest';
import { freshSeed } from '../../test/support/fresh-seed.ts';
import { noSignal } from '../../test/support/repository.ts';
import { damageBlobs, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { watchedStore } from '../../test/support/watched-store.ts';
import { seededRandom, type Random } from '../base/random.ts';
import { packContent } from './blob-codec.ts';
import type { IndexedRepository } from './blob-reader.ts';
import { hashOf, type BlobId } from './ids.ts';
import { PackWriter } from './pack-writer.ts';
import { RecordSet } from './record-set.ts';
import { seal } from './seal.ts';
import { sweepTrees, type SweepOptions, type TreePlace } from './sweep-trees.ts';

/** Trees by their ids: name of each folder in it → id of what is below. */
type Graph = Map<BlobId, ReadonlyMap<string, BlobId>>;

let sample: SampleRepository;
beforeEach(async () => {
  sample = await sampleRepository();
});

/** Trees that share sub-trees at random, none below itself; those left out of `isStored` are only known by name. */
async function saveGraph(
  random: Random,
  { trees, isStored = () => true }: { readonly trees: number; readonly isStored?: (at: number) => boolean },
): Promise<{ indexed: IndexedRepository; graph: Graph; ids: BlobId[] }> {
  const { repository } = sample;
  const { index } = await sample.indexed();
  await using writer = new PackWriter(repository, index, {
    signal: noSignal,
    beforeIndex: () => Promise.resolve(),
    packTargetBytes: 2000,
  });
  const graph: Graph = new Map();
  const ids: BlobId[] = [];
  for (let at = 0; at < trees; at += 1) {
    const below = new Map<string, BlobId>();
    for (let folder = 0; folder < random() * 5; folder += 1) {
      const earlier = ids[Math.floor(random() * at)];
      if (earlier !== undefined) below.set(`folder-${folder}`, earlier);
    }
    const folders = Array.from(below, ([name, subtree]) => ({ name, type: 'dir', subtree }));
    const nodes = [{ name: `a-file-of-${at}`, type: 'file', content: [] }, ...folders];
    const bytes = Buffer.from(`${JSON.stringify({ nodes })}\n`);
    const id = hashOf(bytes) as BlobId;
    const packed = packContent(bytes, 1);
    const sealed = seal(repository.keys, packed.bytes);
    const { plainLengthBytes } = packed;
    if (isStored(at)) await writer.add({ type: 'tree', id, lengthBytes: sealed.length, plainLengthBytes }, sealed);
    graph.set(id, below);
    ids.push(id);
  }
  await writer.finish();
  return { indexed: { repository, index }, graph, ids };
}

/** All trees below some that can be reached through those that can be read. */
function reachable(graph: Graph, roots: readonly BlobId[], isReadable: (id: BlobId) => boolean): Set<BlobId> {
  const found = new Set<BlobId>();
  const visit = (id: BlobId): void => {
    if (found.has(id)) return;
    found.add(id);
    if (isReadable(id)) for (const below of graph.get(id)?.values() ?? []) visit(below);
  };
  for (const root of roots) visit(root);
  return found;
}

interface Swept {
  readonly visited: TreePlace[];
  readonly unreadable: TreePlace[];
}

async function sweep(
  indexed: IndexedRepository,
  roots: readonly TreePlace[],
  options: Partial<SweepOptions> = {},
): Promise<Swept> {
  const swept: Swept = { visited: [], unreadable: [] };
  await sweepTrees(indexed, roots, {
    signal: noSignal,
    seen: new RecordSet(indexed.index.size),
    visit: ({ id, path }) => void swept.visited.push({ id, path }),
    onUnreadable: (place) => void swept.unreadable.push(place),
    ...options,
  });
  return swept;
}

const asRoots = (ids: readonly BlobId[]): TreePlace[] => ids.map((id, at) => ({ id, path: `root-${at}` }));
const idsOf = (places: readonly TreePlace[]): BlobId[] => places.map(({ id }) => id).toSorted();

test('it visits every tree that can be reached once, by a way that leads there, and tells of those it can’t read', async () => {
  const random = seededRandom(freshSeed('sweeps of trees'));
  for (let round = 0; round < 25; round += 1) {
    sample = await sampleRepository();
    const missing = new Set(Array.from({ length: 30 }, (_, at) => at).filter(() => random() < 0.06));
    const { indexed, graph, ids } = await saveGraph(random, { trees: 30, isStored: (at) => !missing.has(at) });
    const damaged = ids.filter((_, at) => !missing.has(at) && random() < 0.1);
    await damageBlobs(
      sample.store,
      damaged.flatMap((id) => indexed.index.find('tree', id) ?? []),
    );
    const roots = asRoots(ids.filter(() => random() < 0.2));
    const isReadable = (id: BlobId): boolean => !missing.has(ids.indexOf(id)) && !damaged.includes(id);
    const expected = reachable(graph, idsOf(roots), isReadable);
    const { visited, unreadable } = await sweep(indexed, roots);
    expect(idsOf(visited)).toEqual([...expected].filter(isReadable).toSorted());
    expect(new Set(idsOf(unreadable))).toEqual(new Set([...expected].filter((id) => !isReadable(id))));
    for (const { id, path } of [...visited, ...unreadable]) {
      const [root = '', ...names] = path.split('/');
      const start = roots.find((each) => each.path === root)?.id;
      const end = names.reduce((at, name) => (at === undefined ? undefined : graph.get(at)?.get(name)), start);
      expect({ path, id: end }).toEqual({ path, id });
    }
  }
});

test('a later sweep that shares what was seen visits only what is new', async () => {
  const { indexed, graph, ids } = await saveGraph(seededRandom(1), { trees: 40 });
  const seen = new RecordSet(indexed.index.size);
  const halves = [ids.slice(30, 35), ids.slice(35)];
  const visited: TreePlace[] = [];
  for (const half of halves) visited.push(...(await sweep(indexed, asRoots(half), { seen })).visited);
  expect(idsOf(visited)).toEqual([...reachable(graph, ids.slice(30), () => true)].toSorted());
});

test('it reads several trees at once, but no more than the store takes', async () => {
  const { indexed, ids } = await saveGraph(seededRandom(2), { trees: 60 });
  for (const [connectionsMax, least, limit] of [
    [1, 1, 1],
    [3, 2, 3],
    [100, 2, 8],
  ] as const) {
    let underway = 0;
    let most = 0;
    const watched = watchedStore(sample.store, {
      async beforeGet() {
        underway += 1;
        most = Math.max(most, underway);
        await new Promise((resolve) => setTimeout(resolve, 1));
        underway -= 1;
      },
    });
    const store = { ...watched, properties: { ...watched.properties, connectionsMax } };
    await sweep({ ...indexed, repository: { ...indexed.repository, store } }, asRoots(ids.slice(-1)));
    expect(most).toBeGreaterThanOrEqual(least);
    expect(most).toBeLessThanOrEqual(limit);
  }
});

test('the first failure of a visit is thrown, and nothing of the sweep goes on after that', async () => {
  const { indexed, ids } = await saveGraph(seededRandom(3), { trees: 60 });
  let visits = 0;
  let running = 0;
  const visit = async (): Promise<void> => {
    const number = (visits += 1);
    running += 1;
    // Those that began beside the one that fails take longer.
    await new Promise((resolve) => setTimeout(resolve, number < 5 ? 0 : number === 5 ? 1 : 10));
    running -= 1;
    if (number >= 5) throw new Error(`failed at ${number}`);
  };
  await expect(sweep(indexed, asRoots(ids.slice(-20)), { visit })).rejects.toThrow('failed at 5');
  const atTheEnd = [running, visits];
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([0, visits]).toEqual(atTheEnd);
});

test('what the caller throws at a tree that can’t be read ends it, and so does a signal', async () => {
  const { indexed, ids } = await saveGraph(seededRandom(4), { trees: 20, isStored: (at) => at > 2 });
  const onUnreadable = ({ id }: TreePlace, error: unknown): void => {
    throw new Error(`no ${ids.indexOf(id)}`, { cause: error });
  };
  const roots = asRoots(ids.slice(-5));
  await expect(sweep(indexed, roots, { onUnreadable })).rejects.toThrow(/^no [0-2]$/);
  const stop = new AbortController();
  const visit = (): void => stop.abort(new Error('told to'));
  await expect(sweep(indexed, roots, { visit, signal: stop.signal })).rejects.toThrow('told to');
});
