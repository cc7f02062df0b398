// Decides the restore of a tree of files: what would be written where, whether there is room, what is in the way.
// Looks, touches nothing.
import { accessSync, constants, statfsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fsPath } from '../../base/byte-name.ts';
import { count } from '../../base/count.ts';
import { errnoOf } from '../../base/errors.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import type { Finding } from '../../model/finding.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { walkTree } from '../../repository/walk.ts';
import { ownFolder } from '../own-folder.ts';
import { isFolder, lookAt } from './place-entry.ts';
import { placeOf, selection, type TreeSelection } from './target-path.ts';
import { existingFolder, repositoryFinding } from './target-safety.ts';
import {
  findUnfinished,
  isRepeatedBy,
  unfinishedWords,
  type FoundUnfinished,
  type RestoreScope,
} from './unfinished-restores.ts';

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
  /** What was begun at the target and did not end. */
  readonly unfinished: readonly EarlierRestore[];
}

export interface EarlierRestore extends FoundUnfinished {
  /** This restore does all that it was to do. */
  readonly isRepeated: boolean;
}

/** Keeps what a full disk would break. */
const spareBytes = 16 * 1024 * 1024;

export async function decideTreeRestore(
  indexed: IndexedRepository,
  request: TreeRestoreRequest,
  signal: AbortSignal,
): Promise<TreeRestoreDecision> {
  const target = resolve(request.target);
  const scope = scopeOf(request, target);
  const chosen = selection(scope);
  const { isDelta = false } = request;
  const counts: Counts = { files: 0, folders: 0, others: 0, totalBytes: 0, existing: 0, missingBytes: 0, barred: [] };
  const unreadable: string[] = [];
  for await (const { path, node } of walkTree(indexed, request.snapshot.tree, {
    signal,
    enters: (folder) => chosen.enters(folder),
    onUnreadable: (_path, error) => unreadable.push(error.message),
  })) {
    const relative = isOwn(path) || !chosen.isWanted(path) ? undefined : chosen.relative(path);
    if (relative !== undefined) countEntry(counts, { node, place: placeOf(target, relative), isDelta });
  }
  const { missingBytes, barred, ...rest } = counts;
  const { tree } = request.snapshot;
  const unfinished = findUnfinished(scope).map((found) => ({
    ...found,
    isRepeated: isRepeatedBy(found.restore, { ...scope, tree }),
  }));
  const findings = [
    spaceFinding(target, missingBytes),
    folderFinding(target),
    repositoryFinding(indexed, target),
    contentFinding(rest, [...unreadable, ...barred]),
    damageFinding(unreadable),
    barredFinding(barred),
    ...unfinished.map((earlier) => unfinishedFinding(earlier)),
  ];
  const replaces =
    rest.existing > 0
      ? `${count(rest.existing, 'existing file')} ${placeWords(target, request.snapshot.paths)} where they differ`
      : undefined;
  return {
    request,
    target,
    ...rest,
    replaces,
    findings: findings.filter((finding) => finding !== undefined),
    unfinished,
  };
}

/** In place the target is `/`, which would frighten: what was backed up says where the files are. */
export function placeWords(target: string, paths: readonly string[]): string {
  if (target !== '/' || paths.length === 0) return `below ${target}`;
  const others = paths.length > 2 ? ` and ${paths.length - 2} more` : '';
  return `in ${paths.slice(0, 2).join(', ')}${others}`;
}

export function scopeOf(
  { snapshot, base = '/', include = [], exclude = [] }: TreeRestoreRequest,
  target: string,
): RestoreScope {
  return { target, paths: snapshot.paths, base, include, exclude };
}

interface Counts {
  files: number;
  folders: number;
  others: number;
  totalBytes: number;
  existing: number;
  missingBytes: number;
  /** Places of files in which a folder is, so that they can't come back. */
  readonly barred: string[];
}

const isOwn = (path: string): boolean => path === ownFolder || path.startsWith(`${ownFolder}/`);

function countEntry(
  counts: Counts,
  { node, place, isDelta }: { readonly node: TreeNode; readonly place: string; readonly isDelta: boolean },
): void {
  const found = lookAt(place);
  if (node.type !== 'dir' && found?.isDirectory() === true) {
    counts.barred.push(place);
    return;
  }
  if (node.type === 'dir') counts.folders += 1;
  else counts[node.type === 'file' ? 'files' : 'others'] += 1;
  // A folder that is there stays; whatever else is in its place makes way.
  if (found !== undefined && !(node.type === 'dir' && found.isDirectory())) counts.existing += 1;
  const sizeBytes = Math.max(0, node.sizeBytes);
  counts.totalBytes += sizeBytes;
  if (found === undefined || !isDelta) counts.missingBytes += sizeBytes;
}

function folderFinding(target: string): Finding | undefined {
  const nearest = existingFolder(target);
  if (!isFolder(nearest)) {
    const message = `${nearest} is not a folder`;
    return { aspect: 'target', outcome: 'failed', message, hint: 'Choose another target, or move it out of the way.' };
  }
  try {
    accessSync(fsPath(nearest), constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    // Folders below the target may be open to us where the target itself is not.
    if (nearest === target && errno !== 'EROFS') return undefined;
    const message = `${nearest} can't be written: ${errno}`;
    return { aspect: 'access', outcome: 'failed', message, hint: 'Choose another target, or run as a user who may.' };
  }
}

function spaceFinding(target: string, neededBytes: number): Finding {
  const { bavail, bsize } = statfsSync(existingFolder(target));
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

function contentFinding(
  counts: { files: number; folders: number; others: number },
  others: readonly string[],
): Finding | undefined {
  if (counts.files + counts.folders + counts.others > 0 || others.length > 0) return undefined;
  return {
    aspect: 'selection',
    outcome: 'failed',
    message: 'nothing in the snapshot fits the selection',
    hint: "See what is there with 'lifeboat ls', then correct --include or --exclude.",
  };
}

function unfinishedFinding({ restore, mark, isRepeated }: EarlierRestore): Finding {
  const what = unfinishedWords(restore);
  return {
    aspect: 'earlier restore',
    outcome: 'warning',
    message: isRepeated ? `${what}: this one finishes it` : `${what}, and this one does not repeat it`,
    hint: isRepeated
      ? 'Let this restore end: what is right already is not written again.'
      : `Repeat that one as well, or remove ${mark} if its files do not matter.`,
  };
}

/** No reason to keep back what can be read. */
function damageFinding(unreadable: readonly string[]): Finding | undefined {
  const [first] = unreadable;
  if (first === undefined) return undefined;
  return {
    aspect: 'repository',
    outcome: 'warning',
    message: `${count(unreadable.length, 'folder')} of the snapshot can't be read and will not come back: ${first}`,
    hint: 'Restore the rest; look for the folder in an older snapshot or in a copy of the repository.',
  };
}

/** What is in the way stays: a folder holds more than the file it bars. */
function barredFinding([first, ...others]: readonly string[]): Finding | undefined {
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : `, and ${count(others.length, 'more file')} like it`;
  return {
    aspect: 'target',
    outcome: 'warning',
    message: `${first} will not come back: a folder is in the way${more}`,
    hint: 'Move the folder elsewhere first, or choose another target.',
  };
}
