// `dump`: the content of one file of a snapshot, on standard output.
import { once } from 'node:events';
import { AppError } from '../../base/errors.ts';
import { readBlob } from '../../repository/blob-reader.ts';
import { findNode } from '../../repository/walk.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument, textOption } from '../option.ts';
import { openFirst } from '../repository-choice.ts';
import { openSnapshot, snapshotWords } from '../snapshot-argument.ts';
import { shortId } from '../style.ts';

export interface DumpedFile {
  readonly snapshot: string;
  readonly path: string;
  readonly sizeBytes: number;
}

export const dumpCommand = defineCommand({
  summary: 'Print one file of a snapshot to standard output',
  examples: [
    'lifeboat dump latest /srv/uploads/report.pdf > report.pdf',
    'lifeboat dump latest /databases/shop.dump --component database > shop.dump',
  ],
  arguments: {
    snapshot: requiredArgument('<snapshot>', snapshotWords),
    path: requiredArgument('<path>', 'the file inside the snapshot'),
  },
  options: { component: textOption('--component <name>', 'the component whose snapshots count') },
  writesBytes: true,
  async run(context, { snapshot: from, path, component }): Promise<DumpedFile> {
    const { signal, stdout } = context;
    await using opened = await openFirst(context, 'read');
    const { snapshot, indexed } = await openSnapshot(opened, { from, component }, context);
    const node = await findNode(indexed, snapshot.tree, { path, signal });
    if (node === undefined) {
      throw new AppError('NOT_FOUND', `snapshot ${shortId(snapshot.id)} holds no ${path}`, {
        hint: `List what it holds with 'lifeboat ls ${shortId(snapshot.id)}'.`,
      });
    }
    if (node.type !== 'file') {
      throw new AppError('USAGE', `${path} is a ${node.type === 'dir' ? 'folder' : node.type}, not a file`, {
        hint: `Restore it with 'lifeboat restore ${shortId(snapshot.id)} --include ${path} --to <folder>'.`,
      });
    }
    let sizeBytes = 0;
    for (const id of node.content ?? []) {
      const content = await readBlob(indexed, { type: 'data', id }, signal);
      sizeBytes += content.length;
      if (!stdout.write(content)) await once(stdout, 'drain', { signal });
    }
    return { snapshot: snapshot.id, path, sizeBytes };
  },
  render: () => '',
});
