// What a directory entry is, in lstat's words; shared by whoever reads a file system and whoever stores one.

/** The names are those that restic's trees use. */
export type FileType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket';

export interface ExtendedAttribute {
  readonly name: string;
  readonly value: Buffer;
}

/** Everything lstat and its relatives tell of one entry. Names, owners and link targets are byte names (`byte-name.ts`). */
export interface FileMetadata {
  readonly type: FileType;
  /** Permission, setuid, setgid and sticky bits: `st_mode & 0o7777`. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  /** Empty where the number has no name on this machine. */
  readonly user: string;
  readonly group: string;
  readonly inode: bigint;
  readonly deviceId: bigint;
  readonly links: number;
  /** Of files; 0 for all else. */
  readonly sizeBytes: number;
  /** `st_rdev` of device nodes; 0 for all else. */
  readonly deviceNumber: bigint;
  /** Of symbolic links. */
  readonly linkTarget?: string | undefined;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}
