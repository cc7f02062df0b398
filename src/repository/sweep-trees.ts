// Visits every tree below some roots once, however many snapshots share it. Memory: one bit per blob, and the trees
// that are known but not yet read.
import { blobMissing, readTree, type IndexedRepository } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import type { RecordSet } from './record-set.ts';
import type { TreeNode } from './tree.ts';

export interface TreePlace {
  readonly id: BlobId;
  /** By which it was reached first: `a1b2c3d4:/srv/www`. */
  readonly path: string;
}

export interface SweptTree extends TreePlace {
  readonly nodes: readonly TreeNode[];
}

export interface SweepOptions {
  readonly signal: AbortSignal;
  /** Trees that were visited; several sweeps may share it. */
  readonly seen: RecordSet;
  visit(tree: SweptTree): void | Promise<void>;
  /** Told of trees that can't be read or are missing; it throws what it does not want to go on from. */
  onUnreadable(place: TreePlace, error: unknown): void;
}

const readsMax = 8;

/** Trees are visited in no promised order, several reads at once, one visit at a time per read. */
export async function sweepTrees(
  indexed: IndexedRepository,
  roots: Iterable<TreePlace>,
  options: SweepOptions,
): Promise<void> {
  const { index, repository } = indexed;
  const stack: TreePlace[] = [];
  const push = (place: TreePlace): void => {
    const record = index.recordOf('tree', place.id);
    if (record < 0) options.onUnreadable(place, blobMissing('tree', place.id));
    else if (options.seen.add(record)) stack.push(place);
  };
  const visit = async (place: TreePlace): Promise<void> => {
    options.signal.throwIfAborted();
    let nodes: readonly TreeNode[];
    try {
      nodes = await readTree(indexed, place.id, options.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      options.onUnreadable(place, error);
      return;
    }
    await options.visit({ ...place, nodes });
    for (const { type, name, subtree } of nodes)
      if (type === 'dir' && subtree !== undefined) push({ id: subtree, path: `${place.path}/${name}` });
  };
  for (const root of roots) {
    push(root);
    await drain(stack, visit, Math.min(readsMax, repository.store.properties.connectionsMax));
  }
}

/** Works a stack off while it grows, a few at a time; the first failure is thrown when the others have ended. */
async function drain<Item>(stack: Item[], work: (item: Item) => Promise<void>, limit: number): Promise<void> {
  const underway = new Set<Promise<void>>();
  const failures: unknown[] = [];
  while (failures.length === 0 && (stack.length > 0 || underway.size > 0)) {
    for (let next = stack.pop(); next !== undefined; next = underway.size < limit ? stack.pop() : undefined) {
      const job = work(next)
        .catch((error: unknown) => {
          failures.push(error);
        })
        .finally(() => underway.delete(job));
      underway.add(job);
    }
    await Promise.race(underway);
  }
  await Promise.all(underway);
  if (failures.length > 0) throw failures[0];
}
