// Decides the restore of a tree of files: what would be written where, whether there is room, what is in the way.
// Looks, touches nothing.
import { statfs } from 'node:fs/promises';
import { lstatSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fsPath } from '../../base/byte-name.ts';
import { errnoOf } from '../../base/errors.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import type { Finding } from '../../model/finding.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { walkTree } from '../../repository/walk.ts';
import { ownFolder } from '../backup/backup.ts';
import { placeOf, selection, type TreeSelection } from './target-path.ts';

export interface TreeRestoreRequest extends Partial<TreeSelection> {
  readonly snapshot: StoredSnapshot;
  /** Folder to restore into; made if it is not there. `/` restores in place. */
  readonly target: string;
  /** Rewrite differing blocks inside existing files instead of putting a new file in the place of the old one. */
  readonly isDelta?: boolean | undefined;
}

export interface TreeRestoreDecision {
  readonly request: TreeRestoreRequest;
  readonly target: string;
  readonly files: number;
  readonly folders: number;
  readonly others: number;
  readonly totalBytes: number;
  /** Existing entries that would be compared and, where they differ, replaced. */
  readonly existing: number;
  /** For people; absent if nothing exists yet. */
  readonly replaces?: string | undefined;
  readonly findings: readonly Finding[];
}

/** Keeps what a full disk would break. */
const spareBytes = 16 * 1024 * 1024;

export async function decideTreeRestore(
  indexed: IndexedRepository,
  request: TreeRestoreRequest,
  signal: AbortSignal,
): Promise<TreeRestoreDecision> {
  const target = resolve(request.target);
  const chosen = selection({
    base: request.base ?? '/',
    include: request.include ?? [],
    exclude: request.exclude ?? [],
  });
  const counts = { files: 0, folders: 0, others: 0, totalBytes: 0, existing: 0, missingBytes: 0 };
  for await (const { path, node } of walkTree(indexed, request.snapshot.tree, {
    signal,
    enters: (folder) => chosen.enters(folder),
  })) {
    const relative = chosen.relative(path);
    if (relative === undefined || !chosen.isWanted(path) || path === ownFolder || path.startsWith(`${ownFolder}/`))
      continue;
    const isThere = exists(placeOf(target, relative));
    if (node.type === 'dir') counts.folders += 1;
    else {
      counts[node.type === 'file' ? 'files' : 'others'] += 1;
      if (isThere) counts.existing += 1;
    }
    counts.totalBytes += node.sizeBytes;
    if (!isThere || request.isDelta !== true) counts.missingBytes += node.sizeBytes;
  }
  const { missingBytes, ...rest } = counts;
  const findings = [await spaceFinding(target, missingBytes), repositoryFinding(indexed, target), contentFinding(rest)];
  const replaces = rest.existing > 0 ? `${rest.existing} existing files below ${target} where they differ` : undefined;
  return { request, target, ...rest, replaces, findings: findings.filter((finding) => finding !== undefined) };
}

function exists(place: string): boolean {
  try {
    lstatSync(fsPath(place));
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** The nearest folder that exists: there the space will be taken. */
function existingFolder(path: string): string {
  return exists(path) || dirname(path) === path ? path : existingFolder(dirname(path));
}

async function spaceFinding(target: string, neededBytes: number): Promise<Finding> {
  const { bavail, bsize } = await statfs(existingFolder(target));
  const freeBytes = bavail * bsize;
  const message = `${formatByteSize(neededBytes)} to write, ${formatByteSize(freeBytes)} free at ${target}`;
  if (neededBytes + spareBytes <= freeBytes) return { aspect: 'disk space', outcome: 'passed', message };
  return {
    aspect: 'disk space',
    outcome: 'failed',
    message,
    hint: 'Free space there, choose another target, or restore less with --include.',
  };
}

/** A restore into the repository's own folder would bury it under files. */
function repositoryFinding({ repository }: IndexedRepository, target: string): Finding | undefined {
  const { isRemote, location } = repository.store.properties;
  if (isRemote || (target !== location && !target.startsWith(`${location}/`))) return undefined;
  return {
    aspect: 'target',
    outcome: 'failed',
    message: `${target} lies inside the repository`,
    hint: 'Choose a folder outside of it.',
  };
}

function contentFinding(counts: { files: number; folders: number; others: number }): Finding | undefined {
  if (counts.files + counts.folders + counts.others > 0) return undefined;
  return {
    aspect: 'selection',
    outcome: 'failed',
    message: 'nothing in the snapshot fits the selection',
    hint: "See what is there with 'lifeboat ls', then correct --include or --exclude.",
  };
}
