// Metadata of entries that no file system holds: a dump, a folder above it. Whoever restores them gets files of their
// own that nobody else reads; how large they are is known only once all has come.
import type { FileMetadata } from './file-type.ts';

export function syntheticMetadata(type: 'file' | 'dir', timeNs: bigint): FileMetadata {
  return {
    type,
    mode: type === 'dir' ? 0o700 : 0o600,
    mtimeNs: timeNs,
    atimeNs: timeNs,
    ctimeNs: timeNs,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    user: '',
    group: '',
    inode: 0n,
    deviceId: 0n,
    links: type === 'file' ? 1 : 0,
    sizeBytes: 0,
    deviceNumber: 0n,
    extendedAttributes: [],
  };
}
