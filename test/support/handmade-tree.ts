// Snapshots that no honest program writes: nodes are stored as they are given, names and all.
import type { BlobIndex } from '../../src/repository/blob-index.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { BlobWriter } from '../../src/repository/blob-writer.ts';
import type { BlobId } from '../../src/repository/ids.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { saveSnapshot, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import type { Workers } from '../../src/repository/worker-pool.ts';
import { noSignal } from './repository.ts';

/** A node of a tree, in restic's own field names; what is given wins over what is derived. */
export interface RawNode {
  readonly name: string;
  readonly type: string;
  /** Of files: each buffer becomes one blob. */
  readonly data?: readonly Buffer[] | undefined;
  /** Of folders. */
  readonly nodes?: readonly RawNode[] | undefined;
  readonly [field: string]: unknown;
}

export interface HandmadeSnapshot {
  readonly nodes: readonly RawNode[];
  readonly paths?: readonly string[] | undefined;
  readonly time?: string | undefined;
  /** What the writer believes to be stored; an empty one makes it store all again. */
  readonly index?: BlobIndex | undefined;
}

export async function saveHandmade(
  repository: Repository,
  { nodes, paths = [], time = '2026-11-20T10:00:00Z', index: known }: HandmadeSnapshot,
  pool: Workers,
): Promise<StoredSnapshot> {
  const index = known ?? (await loadIndex(repository, noSignal));
  await using writer = new BlobWriter(repository, index, {
    pool,
    signal: noSignal,
    chunker: 'gear',
    compressionLevel: 1,
    beforeIndex: () => Promise.resolve(),
  });
  const tree = await saveNodes(writer, nodes);
  await writer.finish();
  const snapshot = {
    tree,
    paths,
    tags: [],
    excludes: [],
    hostname: 'hostile',
    username: 'mallory',
    uid: 0,
    gid: 0,
    time,
    program_version: 'none',
    lifeboat: { component: 'files', source: 'files' },
  };
  return await saveSnapshot(repository, snapshot, noSignal);
}

async function saveNodes(writer: BlobWriter, nodes: readonly RawNode[]): Promise<BlobId> {
  const encoded: Record<string, unknown>[] = [];
  for (const { data, nodes: below, ...fields } of nodes) {
    const time = '2026-11-20T10:00:00Z';
    const content: BlobId[] = [];
    for (const bytes of data ?? []) content.push(await writer.saveData(bytes));
    const size = (data ?? []).reduce((sum, { length }) => sum + length, 0);
    const subtree = below === undefined ? undefined : await saveNodes(writer, below);
    const common = { mode: 0o644, mtime: time, atime: time, ctime: time, uid: 0, gid: 0, content, size };
    encoded.push({ ...common, ...(subtree !== undefined && { subtree }), ...fields });
  }
  return writer.saveTree(Buffer.from(`${JSON.stringify({ nodes: encoded })}\n`));
}
