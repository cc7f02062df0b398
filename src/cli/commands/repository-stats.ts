// `repository stats`: how much a repository holds, before and after deduplication and compression.
import { count } from '../../base/count.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { loadSnapshots } from '../../repository/snapshot.ts';
import { computeStats, type RepositoryStats } from '../../repository/stats.ts';
import { defineCommand } from '../command.ts';
import { textOption } from '../option.ts';
import { openFirst } from '../repository-choice.ts';
import { bytes } from '../style.ts';

export interface StatsData extends RepositoryStats {
  /** Of all files in the store, what no snapshot needs included. */
  readonly storeBytes: number;
  readonly storeFiles: number;
}

export const repositoryStatsCommand = defineCommand({
  summary: 'Show how much a repository holds',
  examples: ['lifeboat repository stats', 'lifeboat repository stats --component uploads --json'],
  arguments: {},
  options: { component: textOption('--component <name>', 'only what snapshots of this component need') },
  async run(context, { component }): Promise<StatsData> {
    const { signal } = context;
    await using opened = await openFirst(context, 'read');
    const { repository } = opened;
    const all = await loadSnapshots(repository, signal);
    const chosen = all.filter((snapshot) => component === undefined || componentOf(snapshot) === component);
    const indexed = { repository, index: await loadIndex(repository, signal) };
    let storeBytes = 0;
    let storeFiles = 0;
    for await (const { sizeBytes } of repository.store.list('', { signal })) {
      storeBytes += sizeBytes;
      storeFiles += 1;
    }
    return { ...(await computeStats(indexed, chosen, signal)), storeBytes, storeFiles };
  },
  render({ snapshots, contents, raw, storeBytes, storeFiles }) {
    const total = snapshots.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
    const ratio = raw.storedBytes === 0 ? 1 : total / raw.storedBytes;
    const saved = ratio < 1.1 ? '' : ` (${ratio.toFixed(1)} times less)`;
    return [
      `snapshots   ${count(snapshots.length, 'snapshot')}, ${bytes(total)} if all were restored`,
      `contents    ${count(contents.files, 'different file')}, ${bytes(contents.bytes)}`,
      `stored      ${count(raw.blobs, 'blob')}, ${bytes(raw.plainBytes)} as ${bytes(raw.storedBytes)}${saved}`,
      `repository  ${count(storeFiles, 'file')}, ${bytes(storeBytes)}`,
    ].join('\n');
  },
});
