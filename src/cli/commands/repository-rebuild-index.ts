// `repository rebuild-index`: makes the index anew from the packs, for when index files are lost or damaged.
import { count } from '../../base/count.ts';
import { rebuildIndex, type RebuiltIndex } from '../../repository/rebuild-index.ts';
import { defineCommand } from '../command.ts';
import { openOne } from '../repository-choice.ts';

export const repositoryRebuildIndexCommand = defineCommand({
  summary: 'Make the index anew from the packs',
  details:
    'For when index files are lost or damaged. Removes nothing but the old index files, after the new ones are complete.',
  examples: ['lifeboat repository rebuild-index --repository /srv/repo'],
  arguments: {},
  options: {},
  isLong: true,
  async run(context): Promise<RebuiltIndex> {
    const { signal, settings, progress } = context;
    await using opened = await openOne(context, 'write');
    return await rebuildIndex(opened.repository, {
      signal,
      lockWaitMs: settings.lockWaitMs,
      onProgress: ({ donePacks, totalPacks }) =>
        progress.update({ work: 'read packs', itemsDone: donePacks, itemsTotal: totalPacks, item: 'pack' }),
    });
  },
  render({ packs, blobs, indexesWritten, indexesRemoved, takenOver, unreadable }, style) {
    const lines = [
      `indexed ${count(blobs, 'blob')} in ${count(packs, 'pack')}: wrote ${count(indexesWritten, 'index file')}, removed ${indexesRemoved}`,
    ];
    if (takenOver.length > 0) {
      const words = `${count(takenOver.length, 'pack')} with a damaged header, of which the old index told what is in it:`;
      lines.push(style.paint('yellow', words), ...takenOver.map(({ file, message }) => `  ${file}: ${message}`));
    }
    if (unreadable.length > 0) {
      lines.push(style.paint('red', `${count(unreadable.length, 'pack')} can't be read and is not in the index:`));
      lines.push(...unreadable.map(({ file, message }) => `  ${file}: ${message}`));
    }
    return lines.join('\n');
  },
  exitCode: ({ takenOver, unreadable }) => (takenOver.length + unreadable.length > 0 ? 20 : 0),
});
