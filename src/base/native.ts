// What node:fs lacks and exact metadata needs (extended attributes, nanosecond times without
// following links, fifos, device nodes, names of owners), through node:ffi. Where that can't be had (another system, a
// Node without ffi) `native()` is undefined and callers say what is lost.
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { fsPath, nameFromBytes, nameToBytes } from './byte-name.ts';
import { quietFfi, type Ffi } from './ffi.ts';

/** Each call is synchronous, never follows a symbolic link, and throws like node:fs: with `code`, `syscall`, `path`. */
export interface Native {
  /** In the kernel's order, as byte names. */
  listExtendedAttributes(path: string): string[];
  /** Undefined if there is none of that name. */
  readExtendedAttribute(path: string, name: string): Buffer | undefined;
  writeExtendedAttribute(path: string, name: string, value: Uint8Array): void;
  removeExtendedAttribute(path: string, name: string): void;
  writeTimes(path: string, atimeNs: bigint, mtimeNs: bigint): void;
  /** Permission bits; rejects a symbolic link with `ENOTSUP`. */
  writeMode(path: string, mode: number): void;
  makeFifo(path: string, mode: number): void;
  /** `mode` says by its `S_IFBLK` or `S_IFCHR` bit which kind. */
  makeDevice(path: string, mode: number, deviceNumber: bigint): void;
  /** Returns when all that was written to the file system which holds an open file or folder is on its disk. */
  syncFileSystem(file: number): void;
  /** Where the next bytes of an open file are that are no hole, from `offset`; undefined if only a hole follows. */
  nextData(file: number, offset: number): number | undefined;
  /** Asks the name service, as `getent` does; undefined if the number has no name. */
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
}

let loaded: { readonly native: Native | undefined } | undefined;

/** Loaded at first use, once per thread: errno and the buffers belong to the thread. */
export function native(): Native | undefined {
  loaded ??= { native: load() };
  return loaded.native;
}

// Linux on 64-bit processors; the kernel allows neither longer paths nor larger attributes and lists.
const pathMaxBytes = 4096;
const attributesMaxBytes = 65_536;
const atCurrentFolder = -100;
const atSymlinkNoFollow = 0x100;

// Sizes go out as 64 bits, as C wants them; answers come back as 32 bits, which hold all that these calls return and
// spare a BigInt per call.
const symbols = {
  llistxattr: { arguments: ['pointer', 'pointer', 'uint64'], return: 'int32' },
  lgetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'uint64'], return: 'int32' },
  lsetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'uint64', 'int32'], return: 'int32' },
  lremovexattr: { arguments: ['pointer', 'pointer'], return: 'int32' },
  utimensat: { arguments: ['int32', 'pointer', 'pointer', 'int32'], return: 'int32' },
  fchmodat: { arguments: ['int32', 'pointer', 'uint32', 'int32'], return: 'int32' },
  mkfifo: { arguments: ['pointer', 'uint32'], return: 'int32' },
  syncfs: { arguments: ['int32'], return: 'int32' },
  lseek: { arguments: ['int32', 'int64', 'int32'], return: 'int64' },
  getpwuid_r: { arguments: ['uint32', 'pointer', 'pointer', 'uint64', 'pointer'], return: 'int32' },
  getgrgid_r: { arguments: ['uint32', 'pointer', 'pointer', 'uint64', 'pointer'], return: 'int32' },
} as const;

function load(): Native | undefined {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined;
  const ffi = quietFfi();
  if (ffi === undefined) return undefined;
  try {
    const library = openLibrary(ffi);
    const errnoAt = library.lib.getFunction('__errno_location', { arguments: [], return: 'pointer' })();
    return bind(ffi, library, new Int32Array(ffi.toArrayBuffer(errnoAt, 4, false)));
  } catch {
    return undefined; // A C library without one of the functions.
  }
}

/** The process itself is linked to its C library, whichever that is; the library is never closed. */
function openLibrary(ffi: Ffi) {
  // eslint-disable-next-line unicorn/no-null -- `null` is how dlopen names the process itself.
  return ffi.dlopen(null, symbols);
}

/** `errno` is the thread's own, read by a plain load right after a call failed, before anything else can change it. */
function bind(ffi: Ffi, { lib, functions: c }: ReturnType<typeof openLibrary>, errno: Int32Array): Native {
  const pathBytes = fixedBuffer(pathMaxBytes);
  const nameBytes = fixedBuffer(256);
  const data = fixedBuffer(attributesMaxBytes);
  const dataSize = BigInt(attributesMaxBytes);
  const times = new BigInt64Array(new ArrayBuffer(32));
  const toPath = (path: string): Buffer => writeTerminated(pathBytes, path, path);

  const fail = (syscall: string, path: string): never => {
    throw systemError(errno[0] ?? 0, syscall, path);
  };
  const expectZero = (outcome: number, syscall: string, path: string): void => {
    if (outcome !== 0) fail(syscall, path);
  };
  const lookUp = (call: typeof c.getpwuid_r | typeof c.getgrgid_r, id: number): string | undefined => {
    const record = new BigUint64Array(new ArrayBuffer(128)); // In both structures the name's address comes first.
    const found = new BigUint64Array(new ArrayBuffer(8));
    const status = call(id, record, data, dataSize, found);
    const [name = 0n] = record;
    if (status !== 0 || found[0] === 0n || name === 0n) return undefined;
    const start = Number(name - ffi.getRawPointer(data));
    return nameFromBytes(data.subarray(start, data.indexOf(0, start)));
  };

  return {
    listExtendedAttributes(path) {
      const length = c.llistxattr(toPath(path), data, dataSize);
      if (length < 0) fail('llistxattr', path);
      return length <= 0 ? [] : nameFromBytes(data.subarray(0, length - 1)).split('\0');
    },
    readExtendedAttribute(path, name) {
      const length = c.lgetxattr(toPath(path), writeTerminated(nameBytes, name, path), data, dataSize);
      if (length >= 0) return Buffer.from(data.subarray(0, length));
      return errno[0] === noData ? undefined : fail('lgetxattr', path);
    },
    writeExtendedAttribute(path, name, value) {
      if (value.length > data.length) throw systemError(tooBig, 'lsetxattr', path);
      data.set(value);
      const nameAt = writeTerminated(nameBytes, name, path);
      expectZero(c.lsetxattr(toPath(path), nameAt, data, BigInt(value.length), 0), 'lsetxattr', path);
    },
    removeExtendedAttribute(path, name) {
      expectZero(c.lremovexattr(toPath(path), writeTerminated(nameBytes, name, path)), 'lremovexattr', path);
    },
    writeTimes(path, atimeNs, mtimeNs) {
      times.set([...secondsAndRest(atimeNs), ...secondsAndRest(mtimeNs)]);
      expectZero(c.utimensat(atCurrentFolder, toPath(path), times, atSymlinkNoFollow), 'utimensat', path);
    },
    writeMode(path, mode) {
      expectZero(c.fchmodat(atCurrentFolder, toPath(path), mode, atSymlinkNoFollow), 'fchmodat', path);
    },
    makeFifo(path, mode) {
      expectZero(c.mkfifo(toPath(path), mode), 'mkfifo', path);
    },
    makeDevice(path, mode, deviceNumber) {
      // C libraries before glibc 2.33 lack the symbol; that must not cost all the rest.
      const mknod = lib.getFunction('mknod', { arguments: ['pointer', 'uint32', 'uint64'], return: 'int32' });
      expectZero(mknod(toPath(path), mode, deviceNumber), 'mknod', path);
    },
    syncFileSystem: (file) => expectZero(c.syncfs(file), 'syncfs', String(file)),
    nextData(file, offset) {
      const found = Number(c.lseek(file, BigInt(offset), seekData));
      if (found >= 0) return found;
      // Also a file that shrank. A file system without the call answers as if all were data.
      return errno[0] === noSuchPlace ? undefined : offset;
    },
    userName: (uid) => lookUp(c.getpwuid_r, uid),
    groupName: (gid) => lookUp(c.getgrgid_r, gid),
  };
}

const seekData = 3;
const noSuchPlace = 6;
const tooBig = 7;
const invalidArgument = 22;
const nameTooLong = 36;
const noData = 61;

/** Memory that stays where it is: V8 keeps small arrays on its own heap, and moves them, unless told otherwise. */
function fixedBuffer(sizeBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(sizeBytes));
}

/** Puts a byte name and its closing zero into `target`; throws for what C could only misunderstand. */
function writeTerminated(target: Buffer, name: string, path: string): Buffer {
  if (name.includes('\0')) throw systemError(invalidArgument, 'path', path);
  const form = fsPath(name);
  const bytes = typeof form === 'string' && form.length * 3 < target.length ? form : nameToBytes(name);
  if (typeof bytes !== 'string' && bytes.length >= target.length) throw systemError(nameTooLong, 'path', path);
  const length = typeof bytes === 'string' ? target.write(bytes, 'utf8') : bytes.copy(target);
  target[length] = 0;
  return target;
}

function secondsAndRest(timeNs: bigint): [bigint, bigint] {
  const rest = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [(timeNs - rest) / 1_000_000_000n, rest];
}

function systemError(errno: number, syscall: string, path: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const message = `${code}: ${getSystemErrorMessage(-errno)}, ${syscall} '${path}'`;
  return Object.assign(new Error(message), { errno: -errno, code, syscall, path });
}
