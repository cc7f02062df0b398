// What a component's files are now, against one of its backups: what is missing, changed or damaged, and what came since.
import { lstatSync } from 'node:fs';
import { fsPath } from '../base/byte-name.ts';
import { errnoOf } from '../base/errors.ts';
import type { FileMetadata } from '../base/file-type.ts';
import type { Difference } from '../repository/diff.ts';
import type { TreeNode } from '../repository/tree.ts';
import { walkTree } from '../repository/walk.ts';
import { workersFor } from '../repository/worker-pool.ts';
import type { EntryProblem, Source } from '../sources/source.ts';
import { ParentTrail } from './backup/parent-trail.ts';
import { ParentTree } from './backup/parent-tree.ts';
import { contentDifference } from './compare-content.ts';
import { metadataOf, nodeOf } from './node-metadata.ts';
import { ownFolder } from './own-folder.ts';
import type { PointParts } from './restore/recovery-reader.ts';

export interface LiveDiffOptions {
  /** Reads also files whose size and time are as they were: what a disk spoils changes neither. */
  readonly readsData: boolean;
  /** It looks at this one now, which may take a while. */
  readonly onEntry: (path: string) => void;
  /** Something could not be looked at. */
  readonly onProblem: (problem: EntryProblem) => void;
  readonly signal: AbortSignal;
}

/**
 * `after` is what is there now, without content. What the source leaves out, and is still there, is no difference. Without a source all of
 * it is gone, or left out.
 */
export async function* diffLive(
  parts: Pick<PointParts, 'indexed' | 'snapshot'>,
  source: Source | undefined,
  options: LiveDiffOptions,
): AsyncGenerator<Difference> {
  const { signal, onProblem } = options;
  const { indexed, snapshot } = parts;
  if (source !== undefined) yield* presentDifferences(parts, source, options);
  const enters = (path: string): boolean => path !== ownFolder;
  for await (const { path, node } of walkTree(indexed, snapshot.tree, { signal, enters })) {
    if (path === ownFolder || node.type === 'socket') continue;
    if (isGone(path, onProblem)) yield { kind: 'removed', path, before: node };
  }
}

async function* presentDifferences(
  { indexed, snapshot }: Pick<PointParts, 'indexed' | 'snapshot'>,
  source: Source,
  options: LiveDiffOptions,
): AsyncGenerator<Difference> {
  const { signal, onEntry, onProblem } = options;
  await using pool = workersFor(indexed.repository, undefined);
  await using session = await source.open(signal);
  const onUnreadable = (): void => onProblem({ path: '/', message: 'a folder of the backup is damaged' });
  const trail = new ParentTrail(new ParentTree(indexed, { signal, onUnreadable }));
  await trail.begin(snapshot.tree);
  for await (const { path, metadata } of session.entries(signal)) {
    onEntry(path);
    const { name, node } = await trail.find(path);
    const after = nodeOf(name, metadata, {});
    if (node === undefined) yield { kind: 'added', path, after };
    else {
      const kind = await kindOf({ path, metadata, node }, { indexed, pool }, options);
      if (kind !== undefined) yield { kind, path, before: node, after };
    }
  }
  for (const problem of session.problems) onProblem(problem);
}

function isGone(path: string, onProblem: LiveDiffOptions['onProblem']): boolean {
  try {
    return lstatSync(fsPath(path), { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === 'ENOTDIR') return true; // What was a folder is none any more.
    onProblem({ path, message: `can't be looked at: ${errno}` });
    return false;
  }
}

interface Pair {
  readonly path: string;
  readonly metadata: FileMetadata;
  readonly node: TreeNode;
}

async function kindOf(
  { path, metadata, node }: Pair,
  parts: Pick<PointParts, 'indexed' | 'pool'>,
  { readsData, onProblem }: LiveDiffOptions,
): Promise<'type' | 'content' | 'metadata' | undefined> {
  const before = metadataOf(node);
  if (before.type !== metadata.type) return 'type';
  if (before.linkTarget !== metadata.linkTarget || before.deviceNumber !== metadata.deviceNumber) return 'content';
  if (node.type === 'file') {
    if (before.sizeBytes !== metadata.sizeBytes) return 'content';
    const isToRead = readsData || before.mtimeNs !== metadata.mtimeNs;
    try {
      const difference = isToRead ? await contentDifference(parts, path, node) : undefined;
      if (difference === 'content') return 'content';
      // Then nothing can be said of the file.
      if (difference !== undefined) onProblem({ path, message: `can't be compared: ${difference.missing} is missing` });
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      onProblem({ path, message: `can't be read: ${errno}` });
      return undefined;
    }
  }
  return settableText(before) === settableText(metadata) ? undefined : 'metadata';
}

/** What a restore would set. */
function settableText({ mode, uid, gid, mtimeNs, extendedAttributes }: FileMetadata): string {
  const attributes = extendedAttributes.map(({ name, value }) => `${name}=${value.toString('hex')}`).toSorted();
  return [mode & 0o7777, uid, gid, mtimeNs, ...attributes].join(' ');
}
