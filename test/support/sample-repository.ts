// A small repository in memory with generated snapshots, for tests of what maintains repositories.
import { seededRandom } from '../../src/base/random.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import type { BlobLocation } from '../../src/repository/blob-index.ts';
import { readBlob, type IndexedRepository } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { fileName } from '../../src/repository/layout.ts';
import { initRepository } from '../../src/repository/open-repository.ts';
import type { BlobType } from '../../src/repository/pack-header.ts';
import { PackWriter } from '../../src/repository/pack-writer.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Snapshot, StoredSnapshot } from '../../src/repository/snapshot.ts';
import { walkTree } from '../../src/repository/walk.ts';
import type { Workers } from '../../src/repository/worker-pool.ts';
import { memoryStore, type MemoryStore } from '../../src/storage/memory/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { generatedSource, type Files } from './generated-source.ts';
import { inlineWorkers } from './inline-workers.ts';
import { noSignal, testPassword } from './repository.ts';

/** Packs stay small, so that a few files make several. */
export const smallPackBytes = 4096;

export interface SampleRepository {
  readonly store: MemoryStore;
  readonly repository: Repository;
  readonly workers: Workers;
  /** Backs the files up as `/app/…`. */
  save(files: Record<string, string | Buffer>, tags?: readonly string[]): Promise<StoredSnapshot>;
  readonly indexed: () => Promise<IndexedRepository>;
  /** Path → content of all files of a snapshot. */
  restore(snapshot: Pick<Snapshot, 'tree'>): Promise<Record<string, string>>;
}

export async function sampleRepository(): Promise<SampleRepository> {
  const store = memoryStore();
  const repository = await initRepository(store, {
    password: testPassword,
    signal: noSignal,
    chunkerDefault: 'gear',
    scryptCost: { N: 2, r: 1, p: 1 },
    lockSettings: { settleMs: 0 },
  });
  const workers = inlineWorkers(repository);
  const indexed = async (): Promise<IndexedRepository> => ({
    repository,
    index: await loadIndex(repository, noSignal),
  });
  return {
    store,
    repository,
    workers,
    async save(files, tags = []) {
      const entries = Object.entries(files).map(([name, content]) => [`/app/${name}`, Buffer.from(content)] as const);
      const tree: Files = new Map(entries);
      // With this number for chance every file comes whole.
      const { snapshot } = await backup(
        repository,
        generatedSource(tree, () => 0.5),
        {
          host: 'shop',
          component: 'app',
          programVersion: '0.0.0',
          signal: noSignal,
          pool: workers,
          packTargetBytes: smallPackBytes,
          tags,
        },
      );
      return snapshot;
    },
    indexed,
    async restore({ tree }) {
      const from = await indexed();
      const files: Record<string, string> = {};
      for await (const { path, node } of walkTree(from, tree, { signal: noSignal })) {
        if (node.type !== 'file') continue;
        const parts: Buffer[] = [];
        for (const id of node.content ?? []) parts.push(await readBlob(from, { type: 'data', id }, noSignal));
        files[path.replace('/app/', '')] = Buffer.concat(parts).toString('utf8');
      }
      return files;
    },
  };
}

/** Text that zstd can't make much smaller. */
export function noise(seed: number, sizeBytes: number): string {
  const random = seededRandom(seed);
  return Array.from({ length: sizeBytes }, () => String.fromCharCode(33 + Math.floor(random() * 90))).join('');
}

export async function namesIn(store: Store, prefix = ''): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix), ({ name }) => name)).toSorted();
}

/** Flips a bit of some copies of blobs where they are stored. */
export async function damageBlobs(store: Store, places: Iterable<BlobLocation>): Promise<void> {
  for (const { pack, offsetBytes, lengthBytes } of places) {
    const name = fileName('data', pack);
    const bytes = Buffer.from(await store.get(name));
    const at = offsetBytes + Math.floor(lengthBytes / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await store.put(name, [bytes]);
  }
}

/** Stores another copy of every blob of a type, in one pack. */
export async function storeAgain({ repository, indexed }: SampleRepository, type: BlobType = 'data'): Promise<void> {
  const from = await indexed();
  const writer = new PackWriter(repository, from.index, {
    signal: noSignal,
    beforeIndex: () => Promise.resolve(),
  });
  for (let record = from.index.size - 1; record >= 0; record -= 1) {
    const place = from.index.at(record);
    const { offsetBytes: offset, lengthBytes: length } = place;
    if (place.type === type)
      await writer.add(place, await repository.store.get(fileName('data', place.pack), { offset, length }));
  }
  await writer.finish();
}
