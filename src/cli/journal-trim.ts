// Trimming of journals as the commands that free space do it, and how they tell of it.
import { count } from '../base/count.ts';
import { trimJournals, type TrimmedBranch, type TrimRequest, type TrimResult } from '../operations/journal/trim.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { Repository } from '../repository/repository.ts';
import type { CommandContext } from './context.ts';
import { bytes, shortId } from './style.ts';

export interface BranchSummary extends Omit<TrimmedBranch, 'keptBy'> {
  /** Begins the oldest of what must stay. */
  readonly keptBy: { readonly id: string; readonly time: string; readonly component: string | undefined } | undefined;
}

export interface JournalTrimSummary extends Omit<TrimResult, 'branches'> {
  readonly isDryRun: boolean;
  readonly branches: readonly BranchSummary[];
}

export async function trimWithProgress(
  repository: Repository,
  { signal, settings, progress }: Pick<CommandContext, 'signal' | 'settings' | 'progress'>,
  options: Pick<TrimRequest, 'isDryRun' | 'without' | 'dropped'>,
): Promise<JournalTrimSummary> {
  const { branches, ...result } = await trimJournals(repository, {
    ...options,
    signal,
    lockWaitMs: settings.lockWaitMs,
    onProgress: ({ segments, segmentsTotal }) =>
      progress.update({ work: 'trim journals', itemsDone: segments, itemsTotal: segmentsTotal, item: 'segment' }),
  });
  return { isDryRun: options.isDryRun, ...result, branches: branches.map(summaryOf) };
}

function summaryOf({ keptBy, ...branch }: TrimmedBranch): BranchSummary {
  return { ...branch, keptBy: keptBy && { id: keptBy.id, time: keptBy.time, component: componentOf(keptBy) } };
}

/** Lines; none if there is nothing to say. */
export function renderJournalTrim({ isDryRun, branches, problems }: JournalTrimSummary): string[] {
  const lines = branches.flatMap((branch) => {
    const told = [removedLine(branch, isDryRun), ...strayLines(branch)].filter((line) => line !== '');
    return told.length === 0 ? [] : [`journal ${branch.lineage}`, ...told.map((line) => `  ${line}`)];
  });
  if (problems.length > 0)
    lines.push(`${count(problems.length, 'object')} of journals could not be read and stayed; see 'lifeboat verify'`);
  return lines;
}

function removedLine({ removed, kept, keptBy, standing }: BranchSummary, isDryRun: boolean): string {
  if (removed === undefined) return '';
  const { first, last, storedBytes } = removed;
  const range = first === last ? `segment ${first}` : `segments ${first} to ${last}`;
  const gone = `${isDryRun ? 'would remove' : 'removed'} ${range} (${bytes(storedBytes)})`;
  const rest = `${bytes(kept?.storedBytes ?? 0)} stay`;
  if (standing !== 'led-to' || keptBy === undefined) return `${gone}; ${rest}`;
  return `${gone}; ${rest}, from snapshot ${shortId(keptBy.id)} on`;
}

/** What stays although no snapshot leads to it. The newest segment always does. */
function strayLines({ standing, kept }: BranchSummary): string[] {
  if (kept === undefined || kept.segments <= 1 || standing === 'led-to') return [];
  const size = bytes(kept.storedBytes);
  if (standing === 'unknown') return [`${size} stay: it does not say which journals it grew out of`];
  const remove = "'lifeboat repository prune --drop-journal <its name>'";
  return standing === 'none'
    ? [`${size} stay, though no snapshot leads to it: back up what it belongs to, or`, `remove it with ${remove}`]
    : [`${size} stay, though no snapshot leads to it: remove it with`, remove];
}
