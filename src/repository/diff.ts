// What changed between two snapshots. Folders whose trees are equal are not looked into.
import { compareNames } from '../base/byte-name.ts';
import { readTree, type IndexedRepository } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import type { TreeNode } from './tree.ts';

export type Difference =
  | { readonly kind: 'added'; readonly path: string; readonly after: TreeNode }
  | { readonly kind: 'removed'; readonly path: string; readonly before: TreeNode }
  | {
      /** `type`: a file became a folder or the like; `content`: other bytes or another link target; else `metadata` only. */
      readonly kind: 'type' | 'content' | 'metadata';
      readonly path: string;
      readonly before: TreeNode;
      readonly after: TreeNode;
    };

/** Yields in the order of paths, folders before what they hold; all that an added or removed folder holds is told too. */
export async function* diffTrees(
  indexed: IndexedRepository,
  trees: { readonly before: BlobId; readonly after: BlobId },
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  yield* diffFolders({ ...trees, path: '' }, { indexed, signal });
}

interface Context {
  readonly indexed: IndexedRepository;
  readonly signal: AbortSignal;
}

interface FolderPair {
  readonly before: BlobId | undefined;
  readonly after: BlobId | undefined;
  readonly path: string;
}

async function* diffFolders({ before, after, path }: FolderPair, context: Context): AsyncGenerator<Difference> {
  if (before === after) return;
  const [old, now] = await Promise.all([nodesOf(before, context), nodesOf(after, context)]);
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted(compareNames);
  for (const name of names) {
    context.signal.throwIfAborted();
    yield* diffNodes({ before: old.get(name), after: now.get(name), path: `${path}/${name}` }, context);
  }
}

async function nodesOf(tree: BlobId | undefined, { indexed, signal }: Context): Promise<ReadonlyMap<string, TreeNode>> {
  const nodes = tree === undefined ? [] : await readTree(indexed, tree, signal);
  return new Map(nodes.map((node) => [node.name, node]));
}

async function* diffNodes(
  pair: { readonly before: TreeNode | undefined; readonly after: TreeNode | undefined; readonly path: string },
  context: Context,
): AsyncGenerator<Difference> {
  const { before, after, path } = pair;
  if (before === undefined) {
    if (after !== undefined) yield { kind: 'added', path, after };
  } else if (after === undefined) yield { kind: 'removed', path, before };
  else {
    const kind = kindOf(before, after);
    if (kind !== undefined) yield { kind, path, before, after };
  }
  yield* diffFolders({ before: before?.subtree, after: after?.subtree, path }, context);
}

function kindOf(before: TreeNode, after: TreeNode): 'type' | 'content' | 'metadata' | undefined {
  if (before.type !== after.type) return 'type';
  const isSameContent =
    (before.content ?? []).join() === (after.content ?? []).join() &&
    before.linkTarget === after.linkTarget &&
    before.device === after.device;
  if (!isSameContent) return 'content';
  return metadataOf(before) === metadataOf(after) ? undefined : 'metadata';
}

/** Everything that a restore brings back, or that tells the next backup whether to look. */
function metadataOf(node: TreeNode): string {
  const { mode, mtime, ctime, uid, gid, user, group, inode, links, extendedAttributes, rest } = node;
  const attributes = extendedAttributes.map(({ name, value }) => [name, value.toString('base64')]);
  return JSON.stringify([mode, mtime, ctime, uid, gid, user, group, `${inode}`, links, attributes, rest]);
}
