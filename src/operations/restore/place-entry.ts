// Makes single entries below a restore target. Nothing here follows a symbolic link that lies inside what is restored.
import { linkSync, lstatSync, mkdirSync, rmSync, statSync, type Stats } from 'node:fs';
import { createSpecial } from '../../base/apply-metadata.ts';
import { fsPath } from '../../base/byte-name.ts';
import { errnoOf } from '../../base/errors.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import type { TreeNode } from '../../repository/tree.ts';

export function lstatOrNone(place: string): Stats | undefined {
  try {
    return lstatSync(fsPath(place));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
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
    if (mayFollow && found.isSymbolicLink() && statSync(fsPath(place)).isDirectory()) return false;
    rmSync(fsPath(place));
  }
  mkdirSync(fsPath(place), { recursive: mayFollow, mode: 0o700 });
  return true;
}

/** Hard links of one file share inode and device; undefined where there is nothing to share. */
export function hardLinkKey(node: TreeNode): string | undefined {
  return node.type !== 'dir' && node.links > 1 && node.inode !== 0n ? `${node.deviceId}/${node.inode}` : undefined;
}

export function makeHardLink(original: string, place: string): void {
  removeAny(place);
  linkSync(fsPath(original), fsPath(place));
}

/** A link, fifo or device; sockets are left out, as in a backup. */
export function makeOther(place: string, metadata: FileMetadata): void {
  if (metadata.type === 'socket') return;
  removeAny(place);
  const problem = createSpecial(place, metadata);
  if (problem !== undefined) throw new Error(problem);
}

/** Makes way. A folder with content is not removed for the sake of a file: that would be more than was asked. */
export function removeAny(place: string): void {
  const found = lstatOrNone(place);
  if (found === undefined) return;
  if (found.isDirectory()) throw new Error('a folder is in the way');
  rmSync(fsPath(place));
}
