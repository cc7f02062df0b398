// `repository rebuild-index`: makes the index anew from the packs, for when index files are lost or damaged.
import { count } from '../../base/count.ts';
import { rebuildIndex, type RebuiltIndex } from '../../repository/rebuild-index.ts';
import { defineCommand } from '../command.ts';
import { switchOption } from '../option.ts';
import { openOne } from '../repository-choice.ts';

export interface RebuiltIndexData extends RebuiltIndex {
  readonly isDryRun: boolean;
}

export const repositoryRebuildIndexCommand = defineCommand({
  summary: 'Make the index anew from the packs',
  details:
    'For when index files are lost or damaged. Removes nothing but the old index files, after the new ones are complete.',
  examples: ['lifeboat repository rebuild-index --repository /srv/repo'],
  arguments: {},
  options: { isDryRun: switchOption('--dry-run', 'read the packs and show what would be done, and do nothing') },
  isLong: true,
  async run(context, { isDryRun }): Promise<RebuiltIndexData> {
    const { signal, settings, progress } = context;
    await using opened = await openOne(context, 'write');
    const rebuilt = await rebuildIndex(opened.repository, {
      isDryRun,
      signal,
      lockWaitMs: settings.lockWaitMs,
      onProgress: ({ donePacks, totalPacks }) =>
        progress.update({ work: 'read packs', itemsDone: donePacks, itemsTotal: totalPacks, item: 'pack' }),
    });
    return { isDryRun, ...rebuilt };
  },
  render({ isDryRun, packs, blobs, indexesWritten, indexesRemoved, takenOver, unreadable }, style) {
    const [index, write, remove] = isDryRun ? ['would index', 'write', 'remove'] : ['indexed', 'wrote', 'removed'];
    const lines = [
      `${index} ${count(blobs, 'blob')} in ${count(packs, 'pack')}: ${write} ${count(indexesWritten, 'index file')}, ${remove} ${indexesRemoved}`,
    ];
    if (takenOver.length > 0) {
      const words = `${count(takenOver.length, 'pack')} with a damaged header, of which the old index told what is in it:`;
      lines.push(style.paint('yellow', words), ...takenOver.map(({ file, message }) => `  ${file}: ${message}`));
    }
    if (unreadable.length > 0) {
      lines.push(
        style.paint(
          'red',
          `${count(unreadable.length, 'pack')} can't be read and ${isDryRun ? 'would not be' : 'is not'} in the index:`,
        ),
      );
      lines.push(...unreadable.map(({ file, message }) => `  ${file}: ${message}`));
    }
    if (isDryRun) lines.push('nothing was done: --dry-run');
    return lines.join('\n');
  },
  exitCode: ({ takenOver, unreadable }) => (takenOver.length + unreadable.length > 0 ? 20 : 0),
});
