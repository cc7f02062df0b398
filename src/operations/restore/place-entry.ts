// Makes single entries below a restore target. Nothing here follows a symbolic link that lies inside what is restored,
// and what was there before goes only when its replacement is complete.
import { hash } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, renameSync, statSync, unlinkSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';
import { createSpecial } from '../../base/apply-metadata.ts';
import { fsPath, nameToBytes } from '../../base/byte-name.ts';
import { AppError, errnoOf, messageOf } from '../../base/errors.ts';
import { readMetadata } from '../../base/file-metadata.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import type { TreeNode } from '../../repository/tree.ts';

export function lstatOrNone(place: string): Stats | undefined {
  return lstatSync(fsPath(place), { throwIfNoEntry: false });
}

/** What can't be looked at counts as absent: whoever writes there will say what is wrong with it. */
export function lookAt(place: string): Stats | undefined {
  return orNone(() => lstatSync(fsPath(place)));
}

/** Also by way of a link. */
export function isFolder(place: string): boolean {
  return orNone(() => statSync(fsPath(place)))?.isDirectory() === true;
}

function orNone(look: () => Stats): Stats | undefined {
  try {
    return look();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The folder that everything goes into. It may be reached through links: the user named it. */
export function makeTarget(target: string): void {
  try {
    mkdirSync(fsPath(target), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new AppError('RESTORE_FAILED', `could not make the folder ${target}: ${messageOf(error)}`, {
      hint: 'Choose another target, or run as a user who may write there.',
      cause: error,
    });
  }
}

/**
 * Makes a folder unless it is there; true if it was made. `mayFollow` lets a link to a folder pass for one: above the
 * source, where a host may keep its folders elsewhere. Inside, whatever is no folder makes way.
 */
export function makeFolder(place: string, { mayFollow }: { readonly mayFollow: boolean }): boolean {
  const found = lstatOrNone(place);
  if (found?.isDirectory() === true) return false;
  if (found !== undefined) {
    if (mayFollow && found.isSymbolicLink() && isFolder(place)) return false;
    unlinkSync(fsPath(place));
  }
  mkdirSync(fsPath(place), { mode: 0o700 });
  return true;
}

/** Hard links of one file share inode and device; undefined where there is nothing to share. */
export function hardLinkKey(node: TreeNode): string | undefined {
  return node.type !== 'dir' && node.links > 1 && node.inode !== 0n ? `${node.deviceId}/${node.inode}` : undefined;
}

/** Numbers can lie, or be given again; only what is the same in itself may share a file. */
export function isSameFile(left: TreeNode, right: TreeNode): boolean {
  const content = left.content ?? [];
  return (
    left.type === right.type &&
    left.linkTarget === right.linkTarget &&
    left.device === right.device &&
    content.length === (right.content ?? []).length &&
    content.every((id, at) => id === right.content?.[at])
  );
}

export function makeHardLink(original: string, place: string): void {
  const wanted = lstatSync(fsPath(original), { bigint: true });
  const found = lstatSync(fsPath(place), { bigint: true, throwIfNoEntry: false });
  if (found?.ino === wanted.ino && found.dev === wanted.dev) return;
  replace(place, (free) => linkSync(fsPath(original), fsPath(free)));
}

/** A link, fifo or device; sockets are left out, as in a backup. */
export function makeOther(place: string, metadata: FileMetadata): void {
  if (metadata.type === 'socket' || isThere(place, metadata)) return;
  replace(place, (free) => {
    const problem = createSpecial(free, metadata);
    if (problem !== undefined) throw new Error(problem);
  });
}

function isThere(place: string, { type, linkTarget, deviceNumber }: FileMetadata): boolean {
  if (lstatOrNone(place) === undefined) return false;
  const found = readMetadata(place);
  return found.type === type && found.linkTarget === linkTarget && found.deviceNumber === deviceNumber;
}

/** Lets `make` make an entry under a free name, which then takes the place of whatever is there but a folder. */
function replace(place: string, make: (free: string) => void): void {
  const found = lstatOrNone(place);
  if (found === undefined) {
    make(place);
    return;
  }
  refuseFolder(found);
  const free = besideName(place);
  removeIfThere(free);
  try {
    make(free);
    renameSync(fsPath(free), fsPath(place));
  } catch (error) {
    removeIfThere(free);
    throw error;
  }
}

/** A folder is not removed for the sake of a file: that would be more than was asked. */
export function refuseFolder(found: Stats): void {
  if (found.isDirectory()) throw new Error('a folder is in the way');
}

export function removeIfThere(place: string): void {
  try {
    unlinkSync(fsPath(place));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** The same one each time, so that a restore that was killed leaves nothing its repetition does not clear away. */
export function besideName(place: string): string {
  return `${dirname(place)}/.lifeboat-${hash('sha256', nameToBytes(basename(place))).slice(0, 16)}`;
}
