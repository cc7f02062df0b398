// The parent snapshot beside the walk of the source: which files are as they were, so that they need not be read.
import { isAppError } from '../../base/errors.ts';
import { readingAhead, readTree, type IndexedRepository } from '../../repository/blob-reader.ts';
import { parseTime } from '../../repository/go-text.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { TreeNode } from '../../repository/tree.ts';

/** What a folder held in the parent snapshot; nothing if it was not there. */
export interface EarlierFolder {
  readonly id: BlobId | undefined;
  readonly nodes: ReadonlyMap<string, TreeNode>;
}

const nothing: EarlierFolder = { id: undefined, nodes: new Map() };

export interface ParentTreeOptions {
  readonly signal: AbortSignal;
  /** Told when a tree can't be read. */
  onUnreadable(): void;
}

/** Follows a depth-first walk: only the folders from the root to the current place are in memory. */
export class ParentTree {
  readonly #indexed: IndexedRepository;
  readonly #options: ParentTreeOptions;
  readonly #folders: EarlierFolder[] = [];

  constructor(indexed: IndexedRepository, options: ParentTreeOptions) {
    this.#indexed = readingAhead(indexed);
    this.#options = options;
  }

  async enterRoot(root: BlobId | undefined): Promise<EarlierFolder> {
    return this.#push(await this.#load(root));
  }

  /** The parent's node of a name in the folder entered last. */
  find(name: string): TreeNode | undefined {
    return this.#folders.at(-1)?.nodes.get(name);
  }

  async enter(name: string): Promise<EarlierFolder> {
    const node = this.find(name);
    return this.#push(await this.#load(node?.type === 'dir' ? node.subtree : undefined));
  }

  leave(): void {
    this.#folders.pop();
  }

  #push(folder: EarlierFolder): EarlierFolder {
    this.#folders.push(folder);
    return folder;
  }

  /** A damaged parent costs time, never the backup: what can't be read counts as changed. */
  async #load(tree: BlobId | undefined): Promise<EarlierFolder> {
    if (tree === undefined || !this.#indexed.index.has('tree', tree)) return nothing;
    const { signal } = this.#options;
    try {
      const nodes = await readTree(this.#indexed, tree, signal);
      return { id: tree, nodes: new Map(nodes.map((node) => [node.name, node])) };
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      this.#options.onUnreadable();
      return nothing;
    }
  }
}

/** restic's rule: size, mtime, ctime and inode agree. */
export function isUnchanged(node: TreeNode, parent: TreeNode): parent is TreeNode & { content: readonly BlobId[] } {
  return (
    parent.type === 'file' &&
    parent.content !== undefined &&
    parent.sizeBytes === node.sizeBytes &&
    parent.inode === node.inode &&
    isSameTime(parent.mtime, node.mtime) &&
    isSameTime(parent.ctime, node.ctime)
  );
}

/** One instant has several texts, by zone. A parent may come from anywhere: what it calls a time may be none. */
function isSameTime(earlier: string, now: string): boolean {
  if (earlier === now) return true;
  try {
    return parseTime(earlier) === parseTime(now);
  } catch {
    return false;
  }
}
