// restic stores Go's `os.FileMode` bits, not POSIX ones.
import type { FileType } from '../base/file-type.ts';

const typeBits: Readonly<Record<FileType, number>> = {
  file: 0,
  dir: 2 ** 31,
  symlink: 2 ** 27,
  dev: 2 ** 26,
  chardev: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
};

/** Go's bit → POSIX bit: setuid, setgid, sticky. */
const specialBits: readonly (readonly [number, number])[] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
];

/** `posixMode` is `st_mode & 0o7777`. */
export function toGoMode(type: FileType, posixMode: number): number {
  let mode = typeBits[type] + (posixMode & 0o777);
  for (const [go, posix] of specialBits) if ((posixMode & posix) !== 0) mode += go;
  return mode;
}

/** Permission, setuid, setgid and sticky bits as `chmod` takes them. */
export function toPosixMode(goMode: number): number {
  let mode = goMode & 0o777;
  for (const [go, posix] of specialBits) if ((goMode & go) !== 0) mode |= posix;
  return mode;
}
