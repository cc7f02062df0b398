// `retention`: removes what the policies no longer keep, and frees its space. The newest proven recovery point of a
// component always stays.
import { count } from '../../base/count.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { renderJournalTrim, trimWithProgress, type JournalTrimSummary } from '../journal-trim.ts';
import { switchOption } from '../option.ts';
import { withoutArchives } from '../repository-choice.ts';
import {
  decideRetentionOf,
  forgetShown,
  frozenExitCode,
  policyIn,
  retentionTable,
  type RetainedSnapshot,
} from '../retention-run.ts';
import { bytes, type Style } from '../style.ts';
import { pruneWithProgress, renderPrune, type PruneSummary } from './repository-prune.ts';

interface RepositoryRetention {
  readonly repository: string;
  readonly snapshots: readonly RetainedSnapshot[];
  /** Absent if space is not freed now. */
  readonly journals: JournalTrimSummary | undefined;
  readonly prune: PruneSummary | undefined;
}

export interface RetentionData {
  readonly isDryRun: boolean;
  readonly repositories: readonly RepositoryRetention[];
}

export const retentionCommand = defineCommand({
  summary: 'Remove what the policies no longer keep',
  details:
    'Decides by the retention of each component and repository in lifeboat.yaml, shows what stays and why, removes the rest after confirmation, and frees the space. Journals go up to where the oldest snapshot begins from which they can be replayed. Whatever the policy says, the newest snapshot that was really restored by a proof stays; --forget-proven says otherwise. Exit code 3: nothing of a component goes as long as an odd backup of it is open.',
  examples: ['lifeboat retention --dry-run', 'lifeboat retention --yes'],
  arguments: {},
  options: {
    isDryRun: switchOption('--dry-run', 'show what would be removed, and do nothing'),
    isConfirmed: switchOption('--yes', 'remove without asking'),
    forgetProven: switchOption('--forget-proven', 'let the policy remove even the newest proven snapshot'),
    keepsSpace: switchOption('--no-prune', 'remove snapshots only; free the space later'),
  },
  isLong: true,
  async run(context, { isDryRun, isConfirmed, forgetProven, keepsSpace }): Promise<RetentionData> {
    await requireConfiguration(context, withoutPolicies);
    const repositories: RepositoryRetention[] = [];
    for (const settings of withoutArchives(await context.chosenRepositories())) {
      repositories.push(await runOne(settings, context, { isDryRun, isConfirmed, forgetProven, keepsSpace }));
    }
    return { isDryRun, repositories };
  },
  render: renderRetention,
  exitCode: ({ repositories }) => frozenExitCode(repositories.flatMap(({ snapshots }) => snapshots)),
});

const withoutPolicies =
  "Without one, give the rules to 'lifeboat repository forget', such as --keep-daily 7 --dry-run.";

interface RunOptions {
  readonly isDryRun: boolean;
  readonly isConfirmed: boolean;
  readonly forgetProven: boolean;
  readonly keepsSpace: boolean;
}

async function runOne(
  settings: RepositorySettings,
  context: CommandContext,
  { isDryRun, isConfirmed, forgetProven, keepsSpace }: RunOptions,
): Promise<RepositoryRetention> {
  const { application } = await requireConfiguration(context, withoutPolicies);
  await using opened = await context.openRepository(settings, isDryRun ? 'read' : 'write');
  const { repository } = opened;
  const request = {
    host: application.name,
    forgetProven,
    policyOf: policyIn(application, settings.name),
  };
  const shown = await decideRetentionOf(repository, request, context);
  const removed = shown.filter(({ keep }) => !keep).map(({ id }) => id);
  const outlook = keepsSpace
    ? undefined
    : await trimWithProgress(repository, context, { isDryRun: true, without: new Set(removed) });
  const trimmedBytes = outlook?.freedBytes ?? 0;
  const unchanged = { repository: settings.name, snapshots: shown, journals: outlook, prune: undefined };
  // An earlier run may have removed the snapshots and died before it came to the journals.
  if (isDryRun || (removed.length === 0 && trimmedBytes === 0)) return unchanged;
  const what = [
    ...(removed.length > 0 ? [count(removed.length, 'snapshot')] : []),
    ...(trimmedBytes > 0 ? [`${bytes(trimmedBytes)} of journals`] : []),
  ];
  await requireConsent(context, `remove ${what.join(' and ')} from ${settings.name}`, isConfirmed);
  const snapshots = removed.length === 0 ? shown : await forgetShown(repository, { shown, request }, context);
  if (keepsSpace) return { ...unchanged, snapshots };
  const journals = await trimWithProgress(repository, context, { isDryRun: false });
  const prune = removed.length === 0 ? undefined : await pruneWithProgress(repository, context, { isDryRun: false });
  return { repository: settings.name, snapshots, journals, prune };
}

export function renderRetention({ isDryRun, repositories }: RetentionData, style: Style): string {
  const parts = repositories.map(({ repository, snapshots, journals, prune }) => {
    const removed = snapshots.filter(({ keep }) => !keep).length;
    const verb = isDryRun ? 'would remove' : 'removed';
    const lines = [style.paint('bold', `repository ${repository}`)];
    if (snapshots.length > 0) lines.push(retentionTable(snapshots, style));
    lines.push(
      snapshots.length > 0
        ? `${verb} ${count(removed, 'snapshot')}, ${count(snapshots.length - removed, 'stays', 'stay')}`
        : 'no snapshot here falls under a policy, so all stay',
    );
    if (journals !== undefined) lines.push(...renderJournalTrim(journals));
    if (prune !== undefined) lines.push(renderPrune(prune));
    return lines.join('\n');
  });
  return [parts.join('\n\n'), ...(isDryRun ? ['nothing was done: --dry-run'] : [])].join('\n');
}
