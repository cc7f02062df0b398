// A folder of a snapshot as a tar stream: what other programs take when they are to have a whole folder at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { plainBytesOf } from '../../repository/blob-codec.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { toPosixMode } from '../../repository/file-mode.ts';
import type { BlobId } from '../../repository/ids.ts';
import { readContent } from '../../repository/read-content.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { walkTree } from '../../repository/walk.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import { metadataOf } from '../node-metadata.ts';
import { tarBlockBytes, tarHeader, tarPadding, type TarEntry } from './tar-header.ts';

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
  /** Paths that tar has no words for. */
  readonly leftOut: readonly string[];
}

/**
 * Entries are named by their full paths without the first slash. Hard links come as files of their own; sockets, which
 * nobody listens to any more, are passed over.
 */
export async function writeFolderArchive(
  indexed: IndexedRepository,
  folder: ArchivedFolder,
  { out, pool, signal }: ArchiveOptions,
): Promise<WrittenArchive> {
  const leftOut: string[] = [];
  const filling = { indexed, folder, pool, signal, onLeftOut: (path: string) => void leftOut.push(path) };
  let bytes = 0;
  for await (const chunk of archiveBytes(filling)) {
    bytes += chunk.length;
    await writeTo(out, chunk, signal);
  }
  return { bytes, leftOut };
}

async function writeTo(out: Writable, chunk: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // Once it has told so, it is silent.
  if (out.errored !== null) throw out.errored;
  if (out.write(chunk)) return;
  try {
    await once(out, 'drain', { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

interface Filling extends Pick<ArchiveOptions, 'pool' | 'signal'> {
  readonly indexed: IndexedRepository;
  readonly folder: ArchivedFolder;
  readonly onLeftOut: (path: string) => void;
}

async function* archiveBytes(filling: Filling): AsyncGenerator<Buffer> {
  const { indexed, folder, signal } = filling;
  if (folder.node !== undefined) yield* entryBytes(folder.path, folder.node, filling);
  for await (const { path, node } of walkTree(indexed, folder.tree, { signal })) {
    yield* entryBytes(`${folder.path}${path}`, node, filling);
  }
  yield Buffer.alloc(2 * tarBlockBytes);
}

async function* entryBytes(
  path: string,
  node: TreeNode,
  { indexed, pool, signal, onLeftOut }: Filling,
): AsyncGenerator<Buffer> {
  if (node.type === 'socket') return;
  const entry = entryOf(path, node, indexed);
  if (entry === undefined) {
    onLeftOut(path);
    return;
  }
  yield tarHeader(entry);
  let written = 0;
  for await (const bytes of readContent(indexed, node.content ?? [], { pool, signal })) {
    written += bytes.length;
    yield bytes;
  }
  // Another length would shift all that follows.
  assert.equal(written, entry.sizeBytes);
  yield tarPadding(written);
}

const types: Readonly<Partial<Record<TreeNode['type'], TarEntry['type']>>> = {
  file: 'file',
  dir: 'directory',
  symlink: 'symlink',
  dev: 'block-device',
  chardev: 'character-device',
  fifo: 'fifo',
};

/** Undefined for what tar has no words for. */
function entryOf(path: string, node: TreeNode, indexed: IndexedRepository): TarEntry | undefined {
  const type = types[node.type];
  if (type === undefined || (type === 'symlink' && node.linkTarget === '')) return undefined;
  const { uid, gid, mtimeNs, extendedAttributes } = metadataOf(node);
  return {
    name: `${path.slice(1)}${type === 'directory' ? '/' : ''}`,
    type,
    mode: toPosixMode(node.mode),
    uid,
    gid,
    user: node.user,
    group: node.group,
    sizeBytes: type === 'file' ? sizeOf(node, indexed) : 0,
    mtimeSeconds: Math.floor(Number(mtimeNs / 1_000_000n) / 1000),
    linkTarget: type === 'symlink' ? node.linkTarget : undefined,
    device: type.endsWith('device') ? deviceOf(node.device) : undefined,
    extendedAttributes,
  };
}

/** Of its blobs: a size that a snapshot only claims would break the archive. */
function sizeOf({ content = [] }: TreeNode, { index }: IndexedRepository): number {
  return content.reduce((sum, id) => {
    const blob = index.find('data', id);
    return sum + (blob === undefined ? 0 : plainBytesOf(blob)); // One that is missing fails when it is read.
  }, 0);
}

/** As Linux packs both numbers into one. */
function deviceOf(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xfff_ff00n)),
  };
}
