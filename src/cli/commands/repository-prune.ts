// `repository prune`: frees the space of what no snapshot needs any more.
import { parseByteSize, byteSizeForm } from '../../base/byte-size.ts';
import { count } from '../../base/count.ts';
import type { PruneDecision } from '../../repository/prune.ts';
import { prune } from '../../repository/prune-execute.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { renderJournalTrim, trimWithProgress, type JournalTrimSummary } from '../journal-trim.ts';
import { listOption, parsedOption, switchOption } from '../option.ts';
import { openOne } from '../repository-choice.ts';
import type { Repository } from '../../repository/repository.ts';
import { bytes } from '../style.ts';

export interface PruneSummary {
  readonly isDryRun: boolean;
  readonly packs: {
    readonly kept: number;
    readonly repacked: number;
    readonly removed: number;
    readonly unindexed: number;
  };
  readonly bytes: PruneDecision['bytes'];
}

interface PruneData extends PruneSummary {
  readonly journals: JournalTrimSummary;
}

export const repositoryPruneCommand = defineCommand({
  summary: 'Free the space that no snapshot needs',
  details:
    'Of journals, what lies before the oldest snapshot from which they can be replayed goes too. Safe to interrupt at any time: what was not finished is done by the next run.',
  examples: [
    'lifeboat repository prune --dry-run',
    'lifeboat repository prune --yes',
    'lifeboat repository prune --max-repack 0B --yes  # when the disk is full',
  ],
  arguments: {},
  options: {
    maxUnused: parsedOption(
      '--max-unused <limit>',
      "unused data that may stay: '5%', a size, or 'unlimited' (default: 5%)",
      {
        expected: "a share such as 5%, a size, or 'unlimited'",
        parse: parseUnused,
      },
    ),
    maxRepackBytes: parsedOption('--max-repack <size>', 'rewrite no more than this; 0B only removes whole packs', {
      expected: byteSizeForm,
      parse: parseByteSize,
    }),
    dropped: listOption('--drop-journal <lineage>', 'remove a journal that no snapshot leads to, but for its end'),
    isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
    isConfirmed: switchOption('--yes', 'do it without asking'),
  },
  isLong: true,
  async run(context, { maxUnused, maxRepackBytes, dropped, isDryRun, isConfirmed }): Promise<PruneData> {
    await using opened = await openOne(context, 'write');
    const { repository } = opened;
    const what = ['remove data that no snapshot needs', ...dropped.map((lineage) => `the journal ${lineage}`)];
    if (!isDryRun) await requireConsent(context, what.join(' and '), isConfirmed);
    const journals = await trimWithProgress(repository, context, { isDryRun, dropped });
    return { ...(await pruneWithProgress(repository, context, { maxUnused, maxRepackBytes, isDryRun })), journals };
  },
  render(data) {
    const end = data.isDryRun ? ['nothing was done: --dry-run'] : [];
    return [...renderJournalTrim(data.journals), renderPrune(data), ...end].join('\n');
  },
});

/** Also the second half of `retention`. */
export async function pruneWithProgress(
  repository: Repository,
  { signal, settings, progress }: CommandContext,
  options: {
    readonly maxUnused?: Unused | undefined;
    readonly maxRepackBytes?: number | undefined;
    readonly isDryRun: boolean;
  },
): Promise<PruneSummary> {
  const { maxUnused, maxRepackBytes, isDryRun } = options;
  const decision = await prune(repository, {
    ...(maxUnused !== undefined && { maxUnused }),
    maxRepackBytes,
    isDryRun,
    lockWaitMs: settings.lockWaitMs,
    signal,
    onProgress(at) {
      if (at.phase === 'trees') progress.update({ work: 'look at trees', itemsDone: at.trees, item: 'tree' });
      else if (at.phase === 'repack')
        progress.update({ work: 'repack', bytesDone: at.doneBytes, bytesTotal: at.totalBytes });
      else if (at.phase === 'copies')
        progress.update({ work: 'check copies', bytesDone: at.doneBytes, bytesTotal: at.totalBytes });
      else progress.update({ work: at.phase === 'index' ? 'write indexes' : 'remove packs' });
    },
  });
  const { keep, repack, remove, removeUnindexed } = decision;
  return {
    isDryRun,
    packs: { kept: keep.length, repacked: repack.length, removed: remove.length, unindexed: removeUnindexed.length },
    bytes: decision.bytes,
  };
}

export function renderPrune({ isDryRun, packs, bytes: sizes }: PruneSummary): string {
  const [free, repack, remove] = isDryRun
    ? ['would free', 'would repack', 'would remove']
    : ['freed', 'repacked', 'removed'];
  return [
    `${free} ${bytes(sizes.freed)} of ${bytes(sizes.used + sizes.unused + sizes.unindexed)}; ${bytes(sizes.unusedAfter)} of unused data stays`,
    `  ${remove} ${count(packs.removed, 'pack')} and ${count(packs.unindexed, 'leftover')}, ${repack} ${count(packs.repacked, 'pack')} (${bytes(sizes.repacked)}), ${count(packs.kept, 'stays', 'stay')}`,
  ].join('\n');
}

type Unused = 'unlimited' | { readonly percent: number } | { readonly bytes: number };

function parseUnused(text: string): Unused | undefined {
  if (text === 'unlimited') return text;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined) return Number(percent) < 100 ? { percent: Number(percent) } : undefined;
  const sizeBytes = parseByteSize(text);
  return sizeBytes === undefined ? undefined : { bytes: sizeBytes };
}
