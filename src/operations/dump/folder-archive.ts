// A folder of a snapshot as a tar stream: what other programs take when they are to have a whole folder at once.
import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { pack, type Header, type Pack } from 'tar-stream';
import { asError } from '../../base/errors.ts';
import type { ExtendedAttribute } from '../../base/file-type.ts';
import { plainBytesOf } from '../../repository/blob-codec.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { toPosixMode } from '../../repository/file-mode.ts';
import type { BlobId } from '../../repository/ids.ts';
import { readContent } from '../../repository/read-content.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { walkTree } from '../../repository/walk.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import { metadataOf } from '../node-metadata.ts';

export interface ArchivedFolder {
  readonly tree: BlobId;
  /** In the snapshot, without a slash at its end: empty for the root. */
  readonly path: string;
  /** Absent for the root. */
  readonly node?: TreeNode | undefined;
}

export interface ArchiveOptions {
  readonly out: Writable;
  readonly pool: Workers;
  readonly signal: AbortSignal;
}

export interface WrittenArchive {
  readonly bytes: number;
  /** Paths that tar has no words for: names that are not UTF-8. */
  readonly leftOut: readonly string[];
}

/**
 * Entries are named by their full paths without the first slash. Hard links come as files of their own; sockets, which
 * nobody listens to any more, are passed over.
 */
export async function writeFolderArchive(
  indexed: IndexedRepository,
  folder: ArchivedFolder,
  { out, pool, signal: outer }: ArchiveOptions,
): Promise<WrittenArchive> {
  const stop = new AbortController();
  const signal = AbortSignal.any([outer, stop.signal]);
  const archive = pack();
  // Whichever end fails, the other must not wait for it.
  const orStop = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      stop.abort(error);
      archive.destroy(asError(error));
      throw error;
    }
  };
  const [filled, drained] = await Promise.allSettled([
    orStop(fill(archive, { indexed, folder, pool, signal })),
    orStop(drain(archive, out, signal)),
  ]);
  outer.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  if (filled.status === 'rejected') throw filled.reason;
  if (drained.status === 'rejected') throw drained.reason;
  return { bytes: drained.value, leftOut: filled.value };
}

async function drain(archive: Pack, out: Writable, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for await (const chunk of archive as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (!out.write(chunk)) await once(out, 'drain', { signal });
  }
  return bytes;
}

interface Filling extends Pick<ArchiveOptions, 'pool' | 'signal'> {
  readonly indexed: IndexedRepository;
  readonly folder: ArchivedFolder;
}

async function fill(archive: Pack, { indexed, folder, pool, signal }: Filling): Promise<string[]> {
  const leftOut: string[] = [];
  const add = async (path: string, node: TreeNode): Promise<void> => {
    if (node.type === 'socket') return;
    const header = headerOf(path, node, indexed);
    if (header === undefined) leftOut.push(path);
    else await addEntry(archive, header, readContent(indexed, node.content ?? [], { pool, signal }));
  };
  if (folder.node !== undefined) await add(folder.path, folder.node);
  for await (const { path, node } of walkTree(indexed, folder.tree, { signal })) {
    await add(`${folder.path}${path}`, node);
  }
  archive.finalize();
  return leftOut;
}

type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

async function addEntry(archive: Pack, header: EntryHeader, content: AsyncIterable<Buffer>): Promise<void> {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  // What fails before the entry is complete is heard of below.
  done.catch(() => undefined);
  const entry = archive.entry(header, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  if (header.type === 'file') {
    for await (const bytes of content) {
      if (!entry.write(bytes)) await Promise.race([once(entry, 'drain'), done]);
    }
  }
  entry.end(undefined);
  await done;
}

const types: Readonly<Partial<Record<TreeNode['type'], Header['type']>>> = {
  file: 'file',
  dir: 'directory',
  symlink: 'symlink',
  dev: 'block-device',
  chardev: 'character-device',
  fifo: 'fifo',
};

/** Beyond these the fields of the plain header are too short, and an extended one tells the truth. */
const plainIdMax = 0o777_777;
const plainSecondsMax = 2 ** 31;
const ownerBytesMax = 31;
/** Any bit that is no permission: the library takes mode 0 for none given. */
const isGivenBit = 0o100_000;

/** Undefined for what tar has no words for. */
function headerOf(path: string, node: TreeNode, indexed: IndexedRepository): EntryHeader | undefined {
  const type = types[node.type];
  const isNamed = path.isWellFormed() && node.linkTarget.isWellFormed();
  if (type === undefined || !isNamed || (type === 'symlink' && node.linkTarget === '')) return undefined;
  return {
    name: `${path.slice(1)}${type === 'directory' ? '/' : ''}`,
    type,
    mode: toPosixMode(node.mode) | isGivenBit,
    uname: ownerName(node.user),
    gname: ownerName(node.group),
    size: type === 'file' ? sizeOf(node, indexed) : 0,
    ...numbersOf(node),
    ...(type === 'symlink' && { linkname: node.linkTarget }),
    ...(type.endsWith('device') && deviceOf(node.device)),
  };
}

/** Of its blobs: a size that a snapshot only claims would break the archive. */
function sizeOf({ content = [] }: TreeNode, { index }: IndexedRepository): number {
  return content.reduce((sum, id) => {
    const blob = index.find('data', id);
    return sum + (blob === undefined ? 0 : plainBytesOf(blob)); // One that is missing fails when it is read.
  }, 0);
}

function numbersOf(node: TreeNode): Pick<EntryHeader, 'uid' | 'gid' | 'mtime' | 'pax'> {
  const { uid, gid, mtimeNs, extendedAttributes } = metadataOf(node);
  const seconds = Number(mtimeNs / 1_000_000n) / 1000;
  const isPlainTime = seconds >= 0 && seconds < plainSecondsMax;
  const pax = {
    ...(uid > plainIdMax && { uid: String(uid) }),
    ...(gid > plainIdMax && { gid: String(gid) }),
    ...(!isPlainTime && { mtime: String(seconds) }),
    ...attributeFields(extendedAttributes),
  };
  const plain = { uid, gid, mtime: new Date(isPlainTime ? seconds * 1000 : 0) };
  return Object.keys(pax).length > 0 ? { ...plain, pax } : plain;
}

/**
 * As GNU tar and libarchive name them. The library writes text only: what is none (ACLs, capabilities) stays behind, and so
 * does a name that the form has no room for.
 */
function attributeFields(attributes: readonly ExtendedAttribute[]): Record<string, string> {
  const textual = attributes.filter(
    ({ name, value }) => isUtf8(value) && name.isWellFormed() && !/[=%\n\0]/.test(name),
  );
  return Object.fromEntries(textual.map(({ name, value }) => [`SCHILY.xattr.${name}`, value.toString('utf8')]));
}

/** A longer one would run into the next field; its number says the same. */
function ownerName(name: string): string {
  return name.isWellFormed() && Buffer.byteLength(name) <= ownerBytesMax ? name : '';
}

/** As Linux packs both numbers into one. */
function deviceOf(device: bigint): { readonly devmajor: number; readonly devminor: number } {
  return {
    devmajor: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    devminor: Number((device & 0xffn) | ((device >> 12n) & 0xfff_ff00n)),
  };
}
