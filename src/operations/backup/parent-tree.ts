// The parent snapshot beside the walk of the source: which files are as they were, so that they need not be read.
import { isAppError } from '../../base/errors.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import { readingAhead, readTree, type IndexedRepository } from '../../repository/blob-reader.ts';
import { formatTime, parseTime } from '../../repository/go-text.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { TreeNode } from '../../repository/tree.ts';

type Folder = ReadonlyMap<string, TreeNode>;
const nothing: Folder = new Map();

export interface ParentTreeOptions {
  readonly signal: AbortSignal;
  /** Told when a tree can't be read. */
  onUnreadable(): void;
}

/** Follows a depth-first walk: only the folders from the root to the current place are in memory. */
export class ParentTree {
  readonly #indexed: IndexedRepository;
  readonly #options: ParentTreeOptions;
  readonly #folders: Folder[] = [];

  constructor(indexed: IndexedRepository, options: ParentTreeOptions) {
    this.#indexed = readingAhead(indexed);
    this.#options = options;
  }

  async enterRoot(root: BlobId | undefined): Promise<void> {
    this.#folders.push(await this.#load(root));
  }

  /** The parent's node of a name in the folder entered last. */
  find(name: string): TreeNode | undefined {
    return this.#folders.at(-1)?.get(name);
  }

  async enter(name: string): Promise<void> {
    const node = this.find(name);
    this.#folders.push(await this.#load(node?.type === 'dir' ? node.subtree : undefined));
  }

  leave(): void {
    this.#folders.pop();
  }

  /** A damaged parent costs time, never the backup: what can't be read counts as changed. */
  async #load(tree: BlobId | undefined): Promise<Folder> {
    if (tree === undefined || !this.#indexed.index.has('tree', tree)) return nothing;
    const { signal } = this.#options;
    try {
      const nodes = await readTree(this.#indexed, tree, signal);
      return new Map(nodes.map((node) => [node.name, node]));
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      this.#options.onUnreadable();
      return nothing;
    }
  }
}

/** restic's rule: size, mtime, ctime and inode agree. */
export function isUnchanged(
  metadata: FileMetadata,
  parent: TreeNode | undefined,
): parent is TreeNode & { content: readonly BlobId[] } {
  return (
    parent !== undefined &&
    parent.type === 'file' &&
    parent.content !== undefined &&
    parent.sizeBytes === metadata.sizeBytes &&
    parent.inode === metadata.inode &&
    isTime(parent.mtime, metadata.mtimeNs) &&
    isTime(parent.ctime, metadata.ctimeNs)
  );
}

/** A parent may come from anywhere: what it calls a time may be none. */
function isTime(text: string, timeNs: bigint): boolean {
  if (text === formatTime(timeNs)) return true;
  try {
    return parseTime(text) === timeNs;
  } catch {
    return false;
  }
}
