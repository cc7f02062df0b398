// `dump`: the content of one file of a snapshot, or a folder as a tar archive, on standard output.
import { once } from 'node:events';
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import type { ArchivedFolder } from '../../operations/dump/folder-archive.ts';
import { readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { findNode } from '../../repository/walk.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import { encrypterFor, sealedOutput, type SealedOutput } from '../age-seal.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { listOption, requiredArgument, textOption } from '../option.ts';
import { exitCodeOf, PointSearch, type UnreadRepository } from '../point-search.ts';
import { openSnapshot, snapshotOrComponentWords } from '../snapshot-argument.ts';
import { shortId } from '../style.ts';

export interface Dumped {
  readonly snapshot: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Repositories that could not be looked at. */
  readonly unread: readonly UnreadRepository[];
}

export const dumpCommand = defineCommand({
  summary: 'Print a file of a snapshot, or a folder as a tar archive, to standard output',
  details:
    "Looks for the snapshot in all repositories, or that of --repository, as restore does; one that cannot be read is told, and the exit code is then 3. A folder comes with all below it, named by full paths without the first slash. Hard links come as files of their own; extended attributes, ACLs and capabilities come as GNU tar writes them: it unpacks ACLs with --acls, and all of them with --xattrs --xattrs-include='*'. Sockets stay behind. With --recipient all of it comes sealed with age for whoever has the identity: backups are encrypted with a key that this machine holds, a sealed dump is one that it can't read.",
  examples: [
    'lifeboat dump latest /srv/uploads/report.pdf > report.pdf',
    'lifeboat dump database /databases/shop.dump > shop.dump',
    'lifeboat dump latest /srv/uploads | tar -x -C /tmp',
    'lifeboat dump database /databases/shop.dump --recipient age1… > shop.dump.age',
  ],
  arguments: {
    snapshot: requiredArgument('<component|snapshot>', snapshotOrComponentWords),
    path: requiredArgument('<path>', 'the file or folder inside the snapshot'),
  },
  options: {
    component: textOption('--component <name>', 'the component whose snapshots count'),
    recipients: listOption('--recipient <age1…>', 'seal it for them, each by their own age identity'),
  },
  writesBytes: true,
  async run(context, { snapshot: from, path, component, recipients }): Promise<Dumped> {
    const { signal } = context;
    const encrypter = recipients.length === 0 ? undefined : await sealerFor(recipients, context);
    await using search = new PointSearch(context, 'read');
    const { snapshot, indexed } = await openSnapshot(search, { from, component }, context);
    const { unread } = search;
    const isRoot = /^\/+$/.test(path);
    const node = isRoot ? undefined : await findNode(indexed, snapshot.tree, { path, signal });
    const tree = isRoot ? snapshot.tree : node?.subtree;
    const content = tree === undefined ? contentOf(node, { path, snapshot: shortId(snapshot.id) }) : [];
    await using sealed = encrypter && (await sealedOutput(encrypter, context.stdout, signal));
    const stdout = sealed?.inside ?? context.stdout;
    if (tree !== undefined) {
      const sizeBytes = await dumpFolder(indexed, { path: tidied(path), tree, node }, { ...context, stdout, sealed });
      return { snapshot: snapshot.id, path, sizeBytes, unread };
    }
    let sizeBytes = 0;
    for (const id of content) {
      const bytes = await readBlob(indexed, { type: 'data', id }, signal);
      sizeBytes += bytes.length;
      if (!stdout.write(bytes)) await once(stdout, 'drain', { signal });
    }
    await sealed?.finish();
    return { snapshot: snapshot.id, path, sizeBytes, unread };
  },
  render: () => '',
  exitCode: ({ unread }) => exitCodeOf(unread),
});

/** Throws `NOT_FOUND` if nothing is there, `USAGE` if it is no file. */
function contentOf(
  node: TreeNode | undefined,
  { path, snapshot }: { readonly path: string; readonly snapshot: string },
): readonly BlobId[] {
  if (node === undefined) {
    throw new AppError('NOT_FOUND', `snapshot ${snapshot} holds no ${path}`, {
      hint: `List what it holds with 'lifeboat ls ${snapshot}'.`,
    });
  }
  if (node.type !== 'file') {
    throw new AppError('USAGE', `${path} is a ${node.type}, neither a file nor a folder`, {
      hint: `Restore it with 'lifeboat restore ${snapshot} --include ${path} --to <folder>'.`,
    });
  }
  return node.content ?? [];
}

async function sealerFor(recipients: readonly string[], { stdout }: CommandContext) {
  if (isTerminal(stdout)) {
    throw new AppError('USAGE', 'what is sealed is nothing for a terminal', {
      hint: "Send it to a file: '> dump.age'.",
    });
  }
  return encrypterFor(recipients);
}

const isTerminal = (stdout: CommandContext['stdout']): boolean => 'isTTY' in stdout && stdout.isTTY === true;

/** `/srv/uploads` of `srv//uploads/`; empty for the root. */
function tidied(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.map((part) => `/${part}`).join('');
}

async function dumpFolder(
  indexed: IndexedRepository,
  folder: ArchivedFolder,
  { signal, stdout, sealed }: Pick<CommandContext, 'signal' | 'stdout'> & { readonly sealed: SealedOutput | undefined },
): Promise<number> {
  if (isTerminal(stdout)) {
    throw new AppError('USAGE', `${folder.path || '/'} is a folder, whose archive is nothing for a terminal`, {
      hint: "Send it to a file or a program: '> folder.tar', or '| tar -t'.",
    });
  }
  const { writeFolderArchive } = await import('../../operations/dump/folder-archive.ts');
  await using pool = new WorkerPool(indexed.repository);
  const { bytes, leftOut } = await writeFolderArchive(indexed, folder, { out: stdout, pool, signal });
  await sealed?.finish();
  const [first] = leftOut;
  if (first === undefined) return bytes;
  const message = `the archive is complete but for ${count(leftOut.length, 'entry', 'entries')} that tar can't hold, the first: ${JSON.stringify(first)}`;
  throw new AppError('RESTORE_FAILED', message, {
    hint: "Restore the folder with 'lifeboat restore' to have them too.",
  });
}
