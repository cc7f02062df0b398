// Reads all that a file system tells of an entry, exactly: stock restic records the same values for the same entry.
import { type BigIntStats, constants, lstatSync, readlinkSync } from 'node:fs';
import { fsPath, nameFromBytes } from './byte-name.ts';
import { errnoOf, messageOf } from './errors.ts';
import type { ExtendedAttribute, FileMetadata, FileType } from './file-type.ts';
import { native, type Native } from './native.ts';
import { OwnerNames } from './owner-names.ts';

export interface ReadMetadataOptions {
  /** Shared over one walk; a fresh one, which asks the name service anew, if absent. */
  readonly owners?: OwnerNames | undefined;
  /** Told what could not be read and is therefore missing in the answer. */
  readonly onProblem?: ((message: string) => void) | undefined;
}

/**
 * Metadata of one entry; symbolic links are not followed. `stats`, if given, are the entry's own, as bigints.
 * Throws as node:fs does if the entry is gone or its folder may not be searched. Without `native()` there are no
 * extended attributes in the answer.
 */
export function readMetadata(path: string, stats?: BigIntStats, options: ReadMetadataOptions = {}): FileMetadata {
  const found = stats ?? lstatSync(fsPath(path), { bigint: true });
  const owners = options.owners ?? new OwnerNames();
  const type = fileTypeOf(found);
  const uid = Number(found.uid);
  const gid = Number(found.gid);
  return {
    type,
    mode: Number(found.mode) & 0o7777,
    mtimeNs: found.mtimeNs,
    atimeNs: found.atimeNs,
    ctimeNs: found.ctimeNs,
    uid,
    gid,
    user: owners.user(uid),
    group: owners.group(gid),
    // Node reads these as signed numbers; they are not.
    inode: BigInt.asUintN(64, found.ino),
    deviceId: BigInt.asUintN(64, found.dev),
    links: Number(found.nlink),
    sizeBytes: type === 'file' ? Number(found.size) : 0,
    deviceNumber: type === 'dev' || type === 'chardev' ? BigInt.asUintN(64, found.rdev) : 0n,
    linkTarget: type === 'symlink' ? nameFromBytes(readlinkSync(fsPath(path), { encoding: 'buffer' })) : undefined,
    extendedAttributes: readExtendedAttributes(path, options.onProblem),
  };
}

export function fileTypeOf(stats: BigIntStats): FileType {
  switch (Number(stats.mode) & constants.S_IFMT) {
    case constants.S_IFDIR:
      return 'dir';
    case constants.S_IFLNK:
      return 'symlink';
    case constants.S_IFBLK:
      return 'dev';
    case constants.S_IFCHR:
      return 'chardev';
    case constants.S_IFIFO:
      return 'fifo';
    case constants.S_IFSOCK:
      return 'socket';
    default:
      return 'file';
  }
}

const none: readonly ExtendedAttribute[] = [];
const noNames: readonly string[] = [];

function readExtendedAttributes(
  path: string,
  onProblem: ((message: string) => void) | undefined,
): readonly ExtendedAttribute[] {
  const calls = native();
  const names = calls === undefined ? noNames : attributeNames(calls, path, onProblem);
  if (calls === undefined || names.length === 0) return none;
  const attributes: ExtendedAttribute[] = [];
  for (const name of names) {
    try {
      const value = calls.readExtendedAttribute(path, name);
      if (value !== undefined) attributes.push({ name, value });
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw error;
      onProblem?.(`extended attribute ${name} not read: ${messageOf(error)}`);
    }
  }
  return attributes;
}

function attributeNames(
  calls: Native,
  path: string,
  onProblem: ((message: string) => void) | undefined,
): readonly string[] {
  try {
    return calls.listExtendedAttributes(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw error;
    // A file system that has none at all has lost none; SMB says so with ENODATA.
    if (!['ENOTSUP', 'ENODATA'].includes(errnoOf(error) ?? ''))
      onProblem?.(`extended attributes not read: ${messageOf(error)}`);
    return noNames;
  }
}
