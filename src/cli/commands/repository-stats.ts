// `repository stats`: how much a repository holds, before and after deduplication and compression.
import { count } from '../../base/count.ts';
import { trimJournals, type TrimmedBranch } from '../../operations/journal/trim.ts';
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
  readonly journals: readonly JournalStats[];
}

export interface JournalStats {
  readonly lineage: string;
  readonly segments: number;
  readonly storedBytes: number;
  /** Of that, what no snapshot needs: the next prune frees it. */
  readonly unneededBytes: number;
  /** Whether a snapshot can be replayed into it. */
  readonly isLedTo: boolean;
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
    const { branches } = await trimJournals(repository, { isDryRun: true, signal });
    // Of a component those are meant that its snapshots need.
    const own = branches.filter(
      ({ keptBy }) => component === undefined || (keptBy && componentOf(keptBy)) === component,
    );
    const journals = own.map(journalStats);
    return { ...(await computeStats(indexed, chosen, signal)), storeBytes, storeFiles, journals };
  },
  render({ snapshots, contents, raw, storeBytes, storeFiles, journals }) {
    const total = snapshots.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
    const ratio = raw.storedBytes === 0 ? 1 : total / raw.storedBytes;
    const saved = ratio < 1.1 ? '' : ` (${ratio.toFixed(1)} times less)`;
    return [
      `snapshots   ${count(snapshots.length, 'snapshot')}, ${bytes(total)} if all were restored`,
      `contents    ${count(contents.files, 'different file')}, ${bytes(contents.bytes)}`,
      `stored      ${count(raw.blobs, 'blob')}, ${bytes(raw.plainBytes)} as ${bytes(raw.storedBytes)}${saved}`,
      `repository  ${count(storeFiles, 'file')}, ${bytes(storeBytes)}`,
      ...journals.flatMap(journalLines),
    ].join('\n');
  },
});

function journalStats({ lineage, standing, removed, kept }: TrimmedBranch): JournalStats {
  const unneededBytes = removed?.storedBytes ?? 0;
  return {
    lineage,
    segments: (removed?.segments ?? 0) + (kept?.segments ?? 0),
    storedBytes: unneededBytes + (kept?.storedBytes ?? 0),
    unneededBytes,
    isLedTo: standing === 'led-to',
  };
}

function journalLines({ lineage, segments, storedBytes, unneededBytes, isLedTo }: JournalStats): string[] {
  const unneeded = unneededBytes === 0 ? '' : `, ${bytes(unneededBytes)} before all snapshots`;
  const stray = isLedTo ? '' : ', no snapshot leads to it';
  return [
    `journal     ${lineage}`,
    `            ${count(segments, 'segment')}, ${bytes(storedBytes)}${unneeded}${stray}`,
  ];
}
