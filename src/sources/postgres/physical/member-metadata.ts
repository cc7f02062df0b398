// Metadata of what a base backup brings, as a data directory on disk has it.
import type { FileMetadata, FileType } from '../../../base/file-type.ts';
import { syntheticMetadata } from '../../../base/synthetic-metadata.ts';
import type { TarMember } from './tar-reader.ts';

const types: Readonly<Record<TarMember['type'], FileType>> = { file: 'file', folder: 'dir', link: 'symlink' };

/** The owner is the one that the server's files have: a copy restored by root on a like machine is ready to be started. */
export function metadataOfMember(member: TarMember): FileMetadata {
  const timeNs = BigInt(member.modifiedSeconds) * 1_000_000_000n;
  return {
    ...syntheticMetadata(member.type === 'file' ? 'file' : 'dir', timeNs),
    type: types[member.type],
    mode: member.mode,
    uid: member.userId,
    gid: member.groupId,
    links: member.type === 'folder' ? 0 : 1,
    sizeBytes: member.sizeBytes,
    ...(member.linkTarget === undefined ? {} : { linkTarget: member.linkTarget }),
  };
}

/** How files and folders that do not come in an archive are made: those of the server's own kind. */
export interface FileForm {
  readonly folderMode: number;
  readonly fileMode: number;
  readonly timeNs: bigint;
  readonly userId: number;
  readonly groupId: number;
}

export function folderMetadata({ folderMode, timeNs, userId, groupId }: FileForm): FileMetadata {
  return { ...syntheticMetadata('dir', timeNs), mode: folderMode, uid: userId, gid: groupId };
}

export function fileMetadata({ fileMode, timeNs, userId, groupId }: FileForm, sizeBytes: number): FileMetadata {
  return { ...syntheticMetadata('file', timeNs), mode: fileMode, uid: userId, gid: groupId, sizeBytes };
}

export function linkMetadata({ timeNs, userId, groupId }: FileForm, linkTarget: string): FileMetadata {
  const common = syntheticMetadata('file', timeNs);
  return { ...common, type: 'symlink', mode: 0o777, uid: userId, gid: groupId, linkTarget };
}
