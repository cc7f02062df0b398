// Writes the data directory of a backup: new, or over the stale copy of a stopped server, of which only what differs is rewritten.
// Without pg_control no server starts, so that file goes first and comes back last: whatever happens in between can be repeated, and
// is never taken for a database.
import { lstat, mkdir, open, readdir, rename, rm, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../../base/errors.ts';
import type { RecoveryReader, WrittenFolder } from '../../source.ts';
import type { Account } from '../server-process.ts';
import { controlFilePath } from '../wal/control-file.ts';
import { namesIn, unfinishedFile } from './target-folder.ts';
import { requireWritten } from '../physical/require-written.ts';

export const dataFolder = '/pgdata';
const tablespacesFolder = '/tablespaces';
const linksFolder = 'pg_tblspc';
/** Below the data directory, where nobody said where else. */
export const innerTablespaces = 'lifeboat_tablespaces';

export interface DataFolderOptions {
  readonly folder: string;
  readonly systemIdentifier: string;
  /** Something is there already, and is ours to replace. */
  readonly isStale: boolean;
  readonly tablespaces: readonly TablespacePlace[];
  readonly onBytes: (count: number) => void;
  /** It will be thrown away, so it need not survive a power cut. */
  readonly isTemporary?: boolean | undefined;
}

export interface TablespacePlace {
  readonly oid: number;
  /** Absolute. */
  readonly to: string;
}

export interface DataFolder {
  readonly files: number;
  readonly bytes: number;
  readonly writtenBytes: number;
  /** Of the stale copy, and not in the backup. */
  readonly removed: number;
  readonly problems: WrittenFolder['problems'];
}

/** All but pg_control, which `completeDataFolder` brings. */
export async function writeDataFolder(
  reader: RecoveryReader,
  options: DataFolderOptions,
  signal: AbortSignal,
): Promise<DataFolder> {
  const { folder, isStale, tablespaces, onBytes, isTemporary } = options;
  await begin(options);
  const wanted = await wantedPaths(reader, signal);
  let removed = 0;
  if (isStale) {
    await replaceLinks(folder);
    removed += await removeOthers(folder, wanted.get(dataFolder) ?? new Map(), [unfinishedFile, innerTablespaces]);
  }
  const parts = [
    { from: dataFolder, to: folder, exclude: [`${dataFolder}/${controlFilePath}`, `${dataFolder}/${linksFolder}`] },
  ];
  for (const { oid, to } of tablespaces) {
    const from = `${tablespacesFolder}/${oid}`;
    await makeOwnFolder(to);
    removed += await removeOthers(to, wanted.get(from) ?? new Map(), []);
    parts.push({ from, to, exclude: [] });
  }
  const total = { files: 0, bytes: 0, writtenBytes: 0 };
  const problems: WrittenFolder['problems'][number][] = [];
  for (const part of parts) {
    const written = await reader.writeFolder({ ...part, isDelta: isStale, onBytes, isTemporary }, signal);
    total.files += written.files;
    total.bytes += written.bytes;
    total.writtenBytes += written.writtenBytes;
    problems.push(...written.problems);
  }
  requireWritten(problems);
  await linkTablespaces(folder, tablespaces);
  return { ...total, removed, problems };
}

/** Closed to others; those above it that are made as well must let the server's account through. */
async function makeOwnFolder(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

async function begin({ folder, systemIdentifier }: DataFolderOptions): Promise<void> {
  await makeOwnFolder(folder);
  await writeDurably(join(folder, unfinishedFile), Buffer.from(`${systemIdentifier}\n`));
  for (const name of [controlFilePath, 'recovery.signal', 'standby.signal']) {
    await rm(join(folder, name), { force: true });
  }
  await syncIfThere(join(folder, 'global'));
  await syncIfThere(folder);
}

/** What is a folder in a backup may be a link in a server's own directory; what it leads to is left alone. */
async function replaceLinks(folder: string): Promise<void> {
  const links = [join(folder, 'pg_wal')];
  const names = await namesIn(join(folder, linksFolder));
  if (Array.isArray(names)) links.push(...names.map((name) => join(folder, linksFolder, name)));
  for (const link of links) if (await isLink(link)) await unlink(link);
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** By folder of the backup that becomes one of the machine: relative paths, and whether each is a folder. */
type Wanted = ReadonlyMap<string, ReadonlyMap<string, boolean>>;

async function wantedPaths(reader: RecoveryReader, signal: AbortSignal): Promise<Wanted> {
  const wanted = new Map<string, Map<string, boolean>>();
  for await (const { path, metadata } of reader.entries(signal)) {
    const root = /^(?:\/pgdata|\/tablespaces\/\d+)(?=\/)/.exec(path)?.[0];
    if (root === undefined) continue;
    const paths = wanted.getOrInsertComputed(root, () => new Map<string, boolean>());
    paths.set(path.slice(root.length + 1), metadata.type === 'dir');
  }
  return wanted;
}

/** Never follows a link. Returns how many entries went, folders with all in them as one. */
async function removeOthers(
  folder: string,
  wanted: ReadonlyMap<string, boolean>,
  kept: readonly string[],
): Promise<number> {
  let removed = 0;
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await readdir(join(folder, relative), { withFileTypes: true })) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (kept.includes(path) || /^\.lifeboat-unfinished-[0-9a-f]{16}$/.test(path)) continue;
      const isFolder = entry.isDirectory();
      if (wanted.get(path) === isFolder) {
        if (isFolder) await visit(path);
        continue;
      }
      await rm(join(folder, path), { recursive: isFolder, force: true });
      removed += 1;
    }
  };
  await visit('');
  return removed;
}

async function linkTablespaces(folder: string, tablespaces: readonly TablespacePlace[]): Promise<void> {
  const links = join(folder, linksFolder);
  await mkdir(links, { recursive: true, mode: 0o700 });
  for (const name of await readdir(links)) await rm(join(links, name), { recursive: true });
  for (const { oid, to } of tablespaces) await symlink(to, join(links, String(oid)));
  await syncIfThere(links);
}

/** After all else, and owned like it. From now on a server starts, as far as the signal files let it. */
export async function completeDataFolder(
  reader: RecoveryReader,
  { folder, account }: { readonly folder: string; readonly account: Account | undefined },
  signal: AbortSignal,
): Promise<void> {
  const bytes = Buffer.concat(await Array.fromAsync(reader.read(`${dataFolder}/${controlFilePath}`, signal)));
  const place = join(folder, controlFilePath);
  await writeDurably(place, bytes, account);
}

/** The restore is over: nothing says any more that it is not. */
export async function endRestore(folder: string): Promise<void> {
  await rm(join(folder, unfinishedFile), { force: true });
  await syncIfThere(folder);
}

/** Whole or not at all; a link of that name is replaced, not followed. */
export async function writeDurably(path: string, bytes: Uint8Array, account?: Account): Promise<void> {
  const beside = `${path}.lifeboat`;
  await rm(beside, { force: true });
  {
    await using file = await open(beside, 'wx', 0o600);
    await file.writeFile(bytes);
    if (account !== undefined) await file.chown(account.uid, account.gid);
    await file.sync();
  }
  await rename(beside, path);
  await syncIfThere(dirname(path));
}

export async function syncIfThere(folder: string): Promise<void> {
  try {
    await using handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
