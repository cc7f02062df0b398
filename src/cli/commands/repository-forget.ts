// `repository forget`: removes snapshots by id or by keep rules on the command line, as restic's forget does, and with our
// own rule that the newest proven recovery point stays.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { retentionPolicySchema, type RetentionPolicy } from '../../model/retention.ts';
import { groupSnapshots } from '../../model/snapshot-groups.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { forgetSnapshots } from '../../repository/forget.ts';
import { listIds, type Repository } from '../../repository/repository.ts';
import { loadSnapshot, loadSnapshots, resolveSnapshotId, type StoredSnapshot } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import { renderJournalTrim, trimWithProgress, type JournalTrimSummary } from '../journal-trim.ts';
import { listArgument, listOption, switchOption, textOption } from '../option.ts';
import { provenTreesForSure } from '../proofs.ts';
import { openOne, openOneItself } from '../repository-choice.ts';
import {
  decideRetentionOf,
  frozenExitCode,
  forgetShown,
  retentionTable,
  type RetainedSnapshot,
  type RetentionRequest,
} from '../retention-run.ts';
import { shortId } from '../style.ts';
import { pruneWithProgress, renderPrune, type PruneSummary } from './repository-prune.ts';

export interface ForgetData {
  readonly isDryRun: boolean;
  readonly snapshots: readonly RetainedSnapshot[];
  /** Of the repository that were not named, or that no rule was for: they stay. */
  readonly others: number;
  /** With `--prune`. */
  readonly journals: JournalTrimSummary | undefined;
  readonly prune: PruneSummary | undefined;
}

const rules = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
type Rule = (typeof rules)[number];
const countOption = (rule: Rule) =>
  textOption(
    `--keep-${rule} <count>`,
    rule === 'last' ? 'keep the newest, so many' : `keep the last of each ${periods[rule]}`,
  );
const periods = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' } as const;

const spanOption = (rule: keyof typeof periods) =>
  textOption(`--keep-within-${rule} <span>`, `keep the last of each ${periods[rule]} within this span`);

export const repositoryForgetCommand = defineCommand({
  summary: 'Remove snapshots by id or by keep rules',
  details:
    'The data and the journals that they alone needed go with --prune, or with the next prune. The newest snapshot of a component that a proof really restored goes only with --forget-proven: rules keep it, by id it is refused.',
  examples: [
    'lifeboat repository forget 46c536f7 --yes',
    'lifeboat repository forget --keep-daily 7 --keep-weekly 4 --dry-run',
    'lifeboat repository forget --keep-within 30d --component uploads --prune --yes',
    'lifeboat repository forget --keep-within-daily 14d --dry-run',
  ],
  arguments: { ids: listArgument('[snapshot...]', 'first digits of ids') },
  options: {
    last: countOption('last'),
    hourly: countOption('hourly'),
    daily: countOption('daily'),
    weekly: countOption('weekly'),
    monthly: countOption('monthly'),
    yearly: countOption('yearly'),
    within: textOption('--keep-within <span>', 'keep all within this span, such as 30d or 1y6m'),
    withinHourly: spanOption('hourly'),
    withinDaily: spanOption('daily'),
    withinWeekly: spanOption('weekly'),
    withinMonthly: spanOption('monthly'),
    withinYearly: spanOption('yearly'),
    tags: listOption('--keep-tag <tag>', 'keep those that carry one of these tags'),
    component: textOption('--component <name>', 'only snapshots of this component'),
    host: textOption('--host <name>', 'only snapshots of this application or host'),
    forgetProven: switchOption('--forget-proven', 'let even the newest proven snapshot of a component go'),
    prunes: switchOption('--prune', 'free the space at once'),
    isDryRun: switchOption('--dry-run', 'show what would be removed, and do nothing'),
    isConfirmed: switchOption('--yes', 'remove without asking'),
  },
  isLong: true,
  async run(context, input): Promise<ForgetData> {
    const { signal, settings } = context;
    const policy = policyOf(input);
    if (input.ids.length > 0 === (policy !== undefined)) {
      throw new AppError('USAGE', 'give either snapshots or keep rules', {
        hint: 'Name ids, or rules such as --keep-daily 7.',
      });
    }
    await using opened = await (input.isDryRun ? openOneItself(context) : openOne(context, 'write'));
    const { repository } = opened;
    const { component: only, host, forgetProven, isDryRun } = input;
    const policyFor: RetentionRequest['policyOf'] = (name) =>
      only === undefined || name === only ? policy : undefined;
    const request = policy && { host, forgetProven, policyOf: policyFor };
    const shown = await (request === undefined
      ? named(repository, input.ids, signal)
      : decideRetentionOf(repository, request, context));
    const removed = shown.filter(({ keep }) => !keep).map(({ id }) => id);
    const others = (await listIds(repository, 'snapshots', signal)).length - shown.length;
    const refuseProven = async (current: AbortSignal): Promise<void> => {
      if (request === undefined && !forgetProven) await refuseNewestProven(repository, new Set(removed), current);
    };
    await refuseProven(signal);
    if (isDryRun || removed.length === 0) {
      const without = new Set(removed);
      const journals = input.prunes
        ? await trimWithProgress(repository, context, { isDryRun: true, without })
        : undefined;
      return { isDryRun, snapshots: shown, others, journals, prune: undefined };
    }
    await requireConsent(context, `remove ${count(removed.length, 'snapshot')}`, input.isConfirmed);
    const snapshots = request === undefined ? shown : await forgetShown(repository, { shown, request }, context);
    if (request === undefined) {
      // Somebody may have proven one of them while we waited for an answer or for the lock.
      const choose = async (held: AbortSignal) => (await refuseProven(held), removed);
      await forgetSnapshots(repository, choose, { signal, lockWaitMs: settings.lockWaitMs });
    }
    if (!input.prunes) return { isDryRun, snapshots, others, journals: undefined, prune: undefined };
    const journals = await trimWithProgress(repository, context, { isDryRun: false });
    const prune = await pruneWithProgress(repository, context, { isDryRun: false });
    return { isDryRun, snapshots, others, journals, prune };
  },
  exitCode: ({ snapshots }) => frozenExitCode(snapshots),
  render({ isDryRun, snapshots, others, journals, prune }, style) {
    const removed = snapshots.filter(({ keep }) => !keep).length;
    const lines = snapshots.length === 0 ? ['no snapshots fit'] : [retentionTable(snapshots, style)];
    lines.push(
      `${isDryRun ? 'would remove' : 'removed'} ${count(removed, 'snapshot')}, ${count(snapshots.length - removed + others, 'stays', 'stay')}`,
    );
    if (journals !== undefined) lines.push(...renderJournalTrim(journals));
    if (prune !== undefined) lines.push(renderPrune(prune));
    return lines.join('\n');
  },
});

type Input = Parameters<typeof repositoryForgetCommand.run>[1];

const spans = [
  'within',
  'withinHourly',
  'withinDaily',
  'withinWeekly',
  'withinMonthly',
  'withinYearly',
] as const satisfies (keyof Input)[];

/** `withinDaily`: `keepWithinDaily`, as in lifeboat.yaml. */
const keyOf = (rule: string): string => `keep${rule[0]?.toUpperCase()}${rule.slice(1)}`;
/** `keepWithinDaily`: `--keep-within-daily`. */
const flagOf = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function policyOf(input: Input): RetentionPolicy | undefined {
  const counts = rules.flatMap((rule) => {
    const text = input[rule];
    if (text === undefined) return [];
    if (text !== 'unlimited' && !/^\d{1,9}$/.test(text)) {
      throw new AppError('USAGE', `--keep-${rule}: found '${text}', expected a whole number or 'unlimited'`, {
        hint: "Give a whole number, or 'unlimited'.",
      });
    }
    return [[keyOf(rule), text === 'unlimited' ? text : Number(text)] as const];
  });
  const { tags } = input;
  const given: Record<string, unknown> = Object.fromEntries([
    ...counts,
    ...spans.flatMap((rule) => (input[rule] === undefined ? [] : [[keyOf(rule), input[rule]] as const])),
    ...(tags.length > 0 ? [['keepTags', tags] as const] : []),
  ]);
  if (Object.keys(given).length === 0) return undefined;
  const parsed = retentionPolicySchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const message = parsed.error.issues
    .map(({ path, message: expected }) => {
      const key = String(path[0]);
      return `${flagOf(key)}: found '${String(given[key])}', ${expected}`;
    })
    .join('; ');
  throw new AppError('USAGE', message, { hint: 'Correct the keep rules.' });
}

/** Per group of the retention; where the same data stays in another snapshot, nothing proven is lost. */
async function refuseNewestProven(
  repository: Repository,
  going: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const proven = await provenTreesForSure(repository, signal);
  const all = await loadSnapshots(repository, signal);
  for (const own of Map.groupBy(all, componentOf).values()) {
    for (const { snapshots } of groupSnapshots(own)) {
      const known = snapshots
        .filter(({ tree }) => proven.has(tree))
        .toSorted((left, right) => timeMs(right) - timeMs(left));
      const [newest] = known;
      if (newest === undefined || known.some(({ id, tree }) => tree === newest.tree && !going.has(id))) continue;
      throw new AppError(
        'CONFIRMATION_NEEDED',
        `snapshot ${shortId(newest.id)} of ${componentOf(newest) ?? newest.hostname} is the newest that is proven to come back`,
        { hint: "Prove a newer one first with 'lifeboat prove', or say --forget-proven." },
      );
    }
  }
}

const timeMs = ({ time }: StoredSnapshot): number => Temporal.Instant.from(time).epochMilliseconds;

/** Those named, all to be removed: who names an id means it. */
async function named(
  repository: Repository,
  words: readonly string[],
  signal: AbortSignal,
): Promise<RetainedSnapshot[]> {
  const found = new Map<string, RetainedSnapshot>();
  for (const word of words) {
    const snapshot = await loadSnapshot(repository, await resolveSnapshotId(repository, word, signal), signal);
    const { id, time } = snapshot;
    found.set(id, { id, time, component: componentOf(snapshot), keep: false, reasons: ['named'], isFrozen: false });
  }
  return [...found.values()];
}
