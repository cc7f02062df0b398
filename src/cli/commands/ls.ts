// `ls`: what a snapshot holds.
import { toPosixMode } from '../../repository/file-mode.ts';
import { findNode, walkTree } from '../../repository/walk.ts';
import { AppError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { optionalArgument, requiredArgument, switchOption, textOption } from '../option.ts';
import { exitCodeOf, PointSearch, type UnreadRepository } from '../point-search.ts';
import { openSnapshot, snapshotOrComponentWords } from '../snapshot-argument.ts';
import { shortTime, visiblePath, type Style } from '../style.ts';

interface ListedEntry {
  readonly path: string;
  readonly type: string;
  /** As `chmod` takes it. */
  readonly mode: string;
  readonly sizeBytes: number;
  readonly modified: string;
  readonly user: string;
  readonly group: string;
  readonly linkTarget: string | undefined;
}

export interface Listing {
  readonly snapshot: { readonly id: string; readonly time: string };
  /** Which one it is in, and those that could not be looked at. */
  readonly repository: string;
  readonly unread: readonly UnreadRepository[];
  readonly isLongForm: boolean;
  readonly entries: readonly ListedEntry[];
}

export const lsCommand = defineCommand({
  summary: 'List the files of a snapshot',
  details:
    'Looks for the snapshot in all repositories, or that of --repository, as restore does. One that cannot be read is told; the exit code is then 3.',
  examples: [
    'lifeboat ls latest',
    'lifeboat ls uploads /srv/uploads/2026 --long',
    'lifeboat ls before:2026-11-20 --component uploads --recursive',
  ],
  arguments: {
    snapshot: requiredArgument('<component|snapshot>', snapshotOrComponentWords),
    path: optionalArgument('[path]', 'folder or file inside the snapshot; all of it if absent'),
  },
  options: {
    component: textOption('--component <name>', 'the component whose snapshots count'),
    isLongForm: switchOption('-l, --long', 'also mode, owner, size and time'),
    isRecursive: switchOption('--recursive', 'enter folders below the path given (without a path that is so anyway)'),
  },
  async run(context, { snapshot: from, path, component, isLongForm, isRecursive }): Promise<Listing> {
    await using search = new PointSearch(context, 'read');
    const { snapshot, indexed, repository } = await openSnapshot(search, { from, component }, context);
    const { signal } = context;
    const start = path === undefined ? '/' : `/${path.replaceAll(/^\/+|\/+$/g, '')}`;
    const node = start === '/' ? undefined : await findNode(indexed, snapshot.tree, { path: start, signal });
    if (start !== '/' && node === undefined) {
      throw new AppError('NOT_FOUND', `snapshot ${snapshot.id.slice(0, 8)} holds no ${start}`, {
        hint: `List all of it with 'lifeboat ls ${snapshot.id.slice(0, 8)}'.`,
      });
    }
    const entries: ListedEntry[] = [];
    const root = node === undefined ? snapshot.tree : node.subtree;
    if (node !== undefined) entries.push(entryOf(start, node));
    if (root !== undefined) {
      const enters = () => path === undefined || isRecursive;
      for await (const found of walkTree(indexed, root, { signal, enters })) {
        entries.push(entryOf(start === '/' ? found.path : start + found.path, found.node));
      }
    }
    const { id, time } = snapshot;
    return { snapshot: { id, time }, repository, unread: search.unread, isLongForm, entries };
  },
  render({ entries, isLongForm }, style) {
    return entries.map((entry) => (isLongForm ? longLine(entry, style) : visiblePath(entry.path))).join('\n');
  },
  exitCode: ({ unread }) => exitCodeOf(unread),
});

type Node = Exclude<Awaited<ReturnType<typeof findNode>>, undefined>;

function entryOf(path: string, node: Node): ListedEntry {
  return {
    path,
    type: node.type,
    mode: toPosixMode(node.mode).toString(8).padStart(4, '0'),
    sizeBytes: node.sizeBytes,
    modified: node.mtime,
    user: node.user === '' ? String(node.uid) : node.user,
    group: node.group === '' ? String(node.gid) : node.group,
    linkTarget: node.type === 'symlink' ? node.linkTarget : undefined,
  };
}

const typeLetters: Readonly<Record<string, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  dev: 'b',
  chardev: 'c',
  fifo: 'p',
  socket: 's',
};

function longLine(
  { path, type, mode, sizeBytes, modified, user, group, linkTarget }: ListedEntry,
  style: Style,
): string {
  const owner = `${user}:${group}`.padEnd(17);
  const target = linkTarget === undefined ? '' : ` -> ${linkTarget}`;
  const size = String(sizeBytes).padStart(12);
  return `${typeLetters[type] ?? '?'}${mode} ${owner} ${size} ${shortTime(modified, style)} ${visiblePath(path + target)}`;
}
