// Between what a file system says of an entry and what a tree holds of it.
import type { FileMetadata } from '../base/file-type.ts';
import { toGoMode, toPosixMode } from '../repository/file-mode.ts';
import { formatTime, parseTime } from '../repository/go-text.ts';
import type { BlobId } from '../repository/ids.ts';
import type { TreeNode } from '../repository/tree.ts';

export interface NodeContent {
  readonly content?: readonly BlobId[] | undefined;
  readonly subtree?: BlobId | undefined;
  /** Of files: the bytes really stored, which may differ from what the metadata said before they were read. */
  readonly sizeBytes?: number | undefined;
}

/** Fields that restic's own backup leaves out for a type are left out here too, so that tree ids agree. */
export function nodeOf(name: string, metadata: FileMetadata, { content, subtree, sizeBytes }: NodeContent): TreeNode {
  const { type } = metadata;
  const isDevice = type === 'dev' || type === 'chardev';
  const mtime = formatTime(metadata.mtimeNs);
  return {
    name,
    type,
    mode: toGoMode(type, metadata.mode),
    mtime,
    atime: mtime, // As restic without --with-atime: reading must not change the next backup.
    ctime: formatTime(metadata.ctimeNs),
    uid: metadata.uid,
    gid: metadata.gid,
    user: metadata.user,
    group: metadata.group,
    inode: metadata.inode,
    deviceId: metadata.deviceId,
    sizeBytes: type === 'file' ? (sizeBytes ?? metadata.sizeBytes) : 0,
    links: type === 'file' || type === 'symlink' || isDevice ? metadata.links : 0,
    linkTarget: metadata.linkTarget ?? '',
    extendedAttributes: metadata.extendedAttributes,
    device: isDevice ? metadata.deviceNumber : 0n,
    content: type === 'file' ? (content ?? []) : undefined,
    subtree,
    rest: {},
  };
}

/** The other way: what a restored entry shall look like. Times that are none count as 1970. */
export function metadataOf(node: TreeNode): FileMetadata {
  const isDevice = node.type === 'dev' || node.type === 'chardev';
  return {
    type: node.type,
    mode: toPosixMode(node.mode),
    mtimeNs: timeOrZero(node.mtime),
    atimeNs: timeOrZero(node.atime),
    ctimeNs: timeOrZero(node.ctime),
    uid: node.uid,
    gid: node.gid,
    user: node.user,
    group: node.group,
    inode: node.inode,
    deviceId: node.deviceId,
    links: node.links,
    sizeBytes: node.sizeBytes,
    deviceNumber: isDevice ? node.device : 0n,
    linkTarget: node.type === 'symlink' ? node.linkTarget : undefined,
    extendedAttributes: node.extendedAttributes,
  };
}

function timeOrZero(time: string): bigint {
  try {
    return parseTime(time);
  } catch {
    return 0n;
  }
}
