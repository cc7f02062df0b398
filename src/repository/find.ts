// Finds paths in many snapshots. What several snapshots share under the same path is read once.
import { pathPatterns, type PathTest } from '../base/path-patterns.ts';
import { readTree, type IndexedRepository } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import type { StoredSnapshot } from './snapshot.ts';
import type { TreeNode } from './tree.ts';

export interface FindOptions {
  /** As excludes are written (`base/path-patterns.ts`). */
  readonly patterns: readonly string[];
  readonly ignoreCase?: boolean | undefined;
  readonly signal: AbortSignal;
}

export interface FoundPath {
  readonly path: string;
  readonly node: TreeNode;
}

export interface FoundInSnapshot {
  readonly snapshot: StoredSnapshot;
  /** At least one. */
  readonly found: readonly FoundPath[];
}

/** Folders whose result is remembered; beyond that they are read again. */
const rememberedMax = 500_000;
const nothing: readonly FoundPath[] = [];

/** Yields the snapshots that hold something that fits, in the order given. A folder that fits stands for what it holds. */
export async function* findPaths(
  indexed: IndexedRepository,
  snapshots: Iterable<StoredSnapshot>,
  options: FindOptions,
): AsyncGenerator<FoundInSnapshot> {
  const search = new Search(indexed, pathPatterns(options.patterns, options), options.signal);
  for (const snapshot of snapshots) {
    const found = await search.below(snapshot.tree, '');
    if (found.length > 0) yield { snapshot, found };
  }
}

class Search {
  readonly #indexed: IndexedRepository;
  readonly #fits: PathTest;
  readonly #signal: AbortSignal;
  /** By tree and path. Most folders hold nothing that fits and share one empty list. */
  readonly #remembered = new Map<string, readonly FoundPath[]>();

  constructor(indexed: IndexedRepository, fits: PathTest, signal: AbortSignal) {
    this.#indexed = indexed;
    this.#fits = fits;
    this.#signal = signal;
  }

  async below(tree: BlobId, folder: string): Promise<readonly FoundPath[]> {
    const key = `${tree}${folder}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    this.#signal.throwIfAborted();
    const found: FoundPath[] = [];
    for (const node of await readTree(this.#indexed, tree, this.#signal)) {
      const path = `${folder}/${node.name}`;
      if (this.#fits(path)) found.push({ path, node });
      else if (node.type === 'dir' && node.subtree !== undefined)
        for (const each of await this.below(node.subtree, path)) found.push(each);
    }
    if (this.#remembered.size < rememberedMax) this.#remembered.set(key, found.length === 0 ? nothing : found);
    return found;
  }
}
