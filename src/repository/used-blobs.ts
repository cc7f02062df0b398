// Which blobs some snapshots need: the ground of every decision to delete. Anything it can't read ends it.
import { blobMissing, type IndexedRepository } from './blob-reader.ts';
import { RecordSet } from './record-set.ts';
import type { StoredSnapshot } from './snapshot.ts';
import { sweepTrees } from './sweep-trees.ts';

export interface UsedBlobsOptions {
  readonly signal: AbortSignal;
  onTree?(): void;
}

/**
 * The records of all blobs that the snapshots reach; of a blob with several copies the record that `recordOf` gives.
 * Rejects with `REPOSITORY_DAMAGED` if a tree can't be read or a blob is in no index.
 */
export async function findUsedBlobs(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  options: UsedBlobsOptions,
): Promise<RecordSet> {
  const { index } = indexed;
  const used = new RecordSet(index.size);
  const roots = snapshots.map(({ id, tree }) => ({ id: tree, path: id.slice(0, 8) }));
  await sweepTrees(indexed, roots, {
    signal: options.signal,
    seen: used,
    visit: ({ nodes }) => {
      for (const { type, content } of nodes) {
        for (const id of type === 'file' ? (content ?? []) : []) {
          const record = index.recordOf('data', id);
          if (record < 0) throw blobMissing('data', id);
          used.add(record);
        }
      }
      options.onTree?.();
    },
    onUnreadable: (_, error) => {
      throw error;
    },
  });
  return used;
}
