// Targets that a restore would do harm in: the repository itself, and the data that the snapshot is of.
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsPath, nameFromBytes } from '../../base/byte-name.ts';
import { errnoOf } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { lookAt } from './place-entry.ts';

/** A restore into the repository's own folder would bury it under files. */
export function repositoryFinding({ repository }: IndexedRepository, target: string): Finding | undefined {
  const { isRemote, location } = repository.store.properties;
  if (isRemote || !isInside(target, location)) return undefined;
  return {
    aspect: 'target',
    outcome: 'failed',
    message: `${target} lies inside the repository`,
    hint: 'Choose a folder outside of it.',
  };
}

/**
 * Whole paths made anew in the midst of the data would be backed up with it from then on. In place is another matter, also
 * by way of a base. All of a machine lies below `/`, so whoever backs that up restores beside.
 */
export function sourceFinding(
  paths: readonly string[],
  { target, base = '/' }: { readonly target: string; readonly base?: string | undefined },
): Finding | undefined {
  if (target === '/' || isSame(target, base)) return undefined;
  const source = paths.find((path) => path !== '/' && isInside(target, path));
  if (source === undefined) return undefined;
  const isIt = isSame(target, source);
  const where = isIt ? 'is' : `lies inside ${source},`;
  return {
    aspect: 'target',
    outcome: 'failed',
    message: `${target} ${where} what the snapshot was made of: its files would come to lie among themselves`,
    hint: `Leave --to out${isIt ? ` or add --base ${source}` : ''} to restore in place, or choose a folder outside of it.`,
  };
}

/** The nearest folder that exists: there the space will be taken. */
export function existingFolder(path: string): string {
  return lookAt(path) !== undefined || dirname(path) === path ? path : existingFolder(dirname(path));
}

/** By their names, or by where links lead. */
function isInside(target: string, location: string): boolean {
  const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  if (isBelow(target, location)) return true;
  return lookAt(location) !== undefined && isBelow(realPath(existingFolder(target)), realPath(location));
}

function isSame(target: string, path: string): boolean {
  return target === path || (lookAt(target) !== undefined && realPath(target) === realPath(path));
}

function realPath(path: string): string {
  try {
    return nameFromBytes(realpathSync(fsPath(path), 'buffer'));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return path;
  }
}
