// What changed between two snapshots. Folders whose trees are equal are not looked into.
import { compareNames } from '../base/byte-name.ts';
import { readBlob, readTree, type IndexedRepository } from './blob-reader.ts';
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

/** A root tree and where it is read. */
export interface DiffSide {
  readonly indexed: IndexedRepository;
  readonly tree: BlobId;
}

/** Yields in the order of paths, folders before what they hold; all that an added or removed folder holds is told too. */
export async function* diffTrees(
  { before, after }: { readonly before: DiffSide; readonly after: DiffSide },
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  const context = { before: before.indexed, after: after.indexed, signal };
  yield* diffFolders({ before: before.tree, after: after.tree, path: '' }, context);
}

interface Context {
  readonly before: IndexedRepository;
  readonly after: IndexedRepository;
  readonly signal: AbortSignal;
}

interface FolderPair {
  readonly before: BlobId | undefined;
  readonly after: BlobId | undefined;
  readonly path: string;
}

async function* diffFolders({ before, after, path }: FolderPair, context: Context): AsyncGenerator<Difference> {
  if (before === after) return;
  const { signal } = context;
  const [old, now] = await Promise.all([
    nodesOf(context.before, before, signal),
    nodesOf(context.after, after, signal),
  ]);
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted(compareNames);
  for (const name of names) {
    signal.throwIfAborted();
    yield* diffNodes({ before: old.get(name), after: now.get(name), path: `${path}/${name}` }, context);
  }
}

async function nodesOf(
  indexed: IndexedRepository,
  tree: BlobId | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TreeNode>> {
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
    const kind = await kindOf(before, after, context);
    if (kind !== undefined) yield { kind, path, before, after };
  }
  yield* diffFolders({ before: before?.subtree, after: after?.subtree, path }, context);
}

async function kindOf(
  before: TreeNode,
  after: TreeNode,
  context: Context,
): Promise<'type' | 'content' | 'metadata' | undefined> {
  if (before.type !== after.type) return 'type';
  if (before.linkTarget !== after.linkTarget || before.device !== after.device) return 'content';
  if (!(await isSameContent(before, after, context))) return 'content';
  return metadataOf(before) === metadataOf(after) ? undefined : 'metadata';
}

/** Equal files may have been cut differently, by another repository's secret or another chunker: where the cuts part, bytes decide. */
async function isSameContent(before: TreeNode, after: TreeNode, context: Context): Promise<boolean> {
  const [old, now] = [before.content ?? [], after.content ?? []];
  if (old.join() === now.join()) return true;
  if (before.sizeBytes !== after.sizeBytes) return false;
  const parted = old.findIndex((id, at) => id !== now[at]);
  const start = parted === -1 ? old.length : parted;
  const { signal } = context;
  return hasSameBytes(
    bytesOf(context.before, old.slice(start), signal),
    bytesOf(context.after, now.slice(start), signal),
  );
}

async function* bytesOf(indexed: IndexedRepository, content: readonly BlobId[], signal: AbortSignal) {
  for (const id of content) yield await readBlob(indexed, { type: 'data', id }, signal);
}

/** Reads no further than to the first difference. */
async function hasSameBytes(one: AsyncIterator<Buffer>, other: AsyncIterator<Buffer>): Promise<boolean> {
  const next = async (from: AsyncIterator<Buffer>): Promise<Buffer | undefined> => {
    const { done, value } = await from.next();
    return done === true ? undefined : value;
  };
  let [left, right] = [await next(one), await next(other)];
  while (left !== undefined && right !== undefined) {
    const length = Math.min(left.length, right.length);
    if (!left.subarray(0, length).equals(right.subarray(0, length))) return false;
    left = length === left.length ? await next(one) : left.subarray(length);
    right = length === right.length ? await next(other) : right.subarray(length);
  }
  return left === right;
}

/** Everything that a restore brings back, or that tells the next backup whether to look. */
function metadataOf(node: TreeNode): string {
  const { mode, mtime, ctime, uid, gid, user, group, inode, links, extendedAttributes, rest } = node;
  const attributes = extendedAttributes.map(({ name, value }) => [name, value.toString('base64')]);
  return JSON.stringify([mode, mtime, ctime, uid, gid, user, group, `${inode}`, links, attributes, rest]);
}
