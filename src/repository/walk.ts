// Walks the tree of a snapshot, depth first, directories before what they hold.
import { nameFromBytes, nameToBytes } from '../base/byte-name.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { readingAhead, readTree, type IndexedRepository } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import type { TreeNode } from './tree.ts';

export interface WalkedNode {
  /** Absolute within the snapshot: `/srv/www/index.html`. */
  readonly path: string;
  readonly node: TreeNode;
}

/** Deeper than any file system allows a path to be; a hostile repository may hold more. */
const depthMax = 4096;

export interface WalkOptions {
  readonly signal: AbortSignal;
  /** Directories for which it says false are yielded but not entered. */
  enters?(path: string, node: TreeNode): boolean;
  /** Told of directories whose tree is damaged or missing, which are then passed over; absent, the walk rejects. */
  onUnreadable?: ((path: string, error: AppError) => void) | undefined;
}

/** Names that would leave the target or confuse it: restic's readers refuse them too. */
export function isSafeName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return false;
  // Two strings that spell the same bytes would be one name on the disk.
  return name.isWellFormed() || nameFromBytes(nameToBytes(name)) === name;
}

/** Rejects with `HOSTILE_CONTENT` at the first name that is not a plain one, or that stands twice in a folder. */
export async function* walkTree(
  indexed: IndexedRepository,
  root: BlobId,
  options: WalkOptions,
): AsyncGenerator<WalkedNode> {
  yield* walkFolder(readingAhead(indexed), { tree: root, path: '', depth: 0 }, options);
}

async function* walkFolder(
  indexed: IndexedRepository,
  folder: { readonly tree: BlobId; readonly path: string; readonly depth: number },
  options: WalkOptions,
): AsyncGenerator<WalkedNode> {
  options.signal.throwIfAborted();
  if (folder.depth > depthMax) throw hostile(`folders nest deeper than ${depthMax}`);
  const names = new Set<string>();
  for (const node of await readFolder(indexed, folder, options)) {
    if (!isSafeName(node.name))
      throw hostile(`the name ${JSON.stringify(node.name)} below '${folder.path}/' is not a plain name`);
    if (names.has(node.name)) throw hostile(`the name ${JSON.stringify(node.name)} stands twice in '${folder.path}/'`);
    names.add(node.name);
    const path = `${folder.path}/${node.name}`;
    yield { path, node };
    if (node.type === 'dir' && node.subtree !== undefined && (options.enters?.(path, node) ?? true)) {
      yield* walkFolder(readingAhead(indexed), { tree: node.subtree, path, depth: folder.depth + 1 }, options);
    }
  }
}

async function readFolder(
  indexed: IndexedRepository,
  { tree, path }: { readonly tree: BlobId; readonly path: string },
  { signal, onUnreadable }: WalkOptions,
): Promise<TreeNode[]> {
  try {
    return await readTree(indexed, tree, signal);
  } catch (error) {
    // Without its root there is nothing of a snapshot.
    if (onUnreadable === undefined || path === '' || !isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    onUnreadable(path, error);
    return [];
  }
}

function hostile(message: string): AppError {
  return new AppError('HOSTILE_CONTENT', message, {
    hint: 'Do not trust this repository: no backup program writes such a tree. Nothing outside the target was touched.',
  });
}

/** The node at a path, or undefined. `/` has no node of its own. */
export async function findNode(
  indexed: IndexedRepository,
  root: BlobId,
  options: { path: string; signal: AbortSignal },
): Promise<TreeNode | undefined> {
  let tree: BlobId | undefined = root;
  let found: TreeNode | undefined;
  for (const name of options.path.split('/').filter((part) => part !== '')) {
    if (tree === undefined) return undefined;
    found = (await readTree(indexed, tree, options.signal)).find((node) => node.name === name);
    if (found === undefined) return undefined;
    tree = found.subtree;
  }
  return found;
}
