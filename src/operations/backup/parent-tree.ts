// The parent snapshot beside the walk of the source: which files are as they were, so that they need not be read.
import { isAppError } from '../../base/errors.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import { readingAhead, readTree, type IndexedRepository } from '../../repository/blob-reader.ts';
import { parseTime } from '../../repository/go-text.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { isSameNode, type TreeNode } from '../../repository/tree.ts';
import { nodeOf } from '../node-metadata.ts';

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

/** What a dump is kept under: it comes from no path, and the component's name keeps two databases apart. */
export const pathOf = (component: string): string => `/${component}`;

/** Newest snapshot of the same host, component and paths. */
export function findParent(
  snapshots: readonly StoredSnapshot[],
  like: { host: string; paths: readonly string[] },
): StoredSnapshot | undefined {
  const key = like.paths.toSorted().join('\0');
  return snapshots.findLast(({ hostname: host, paths }) => host === like.host && paths.toSorted().join('\0') === key);
}

/** The node of a file that need not be read: the parent's own if not even its owner or mode is new. */
export function keptNode(
  { name, metadata }: { readonly name: string; readonly metadata: FileMetadata },
  parent: TreeNode,
  isKnown: (id: BlobId) => boolean,
): TreeNode | undefined {
  const node = nodeOf(name, metadata, { content: parent.content });
  if (!isUnchanged(node, parent) || !parent.content.every(isKnown)) return undefined;
  return isSameNode(node, parent) ? parent : node;
}

/** restic's rule: size, mtime, ctime and inode agree. */
function isUnchanged(node: TreeNode, parent: TreeNode): parent is TreeNode & { content: readonly BlobId[] } {
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
