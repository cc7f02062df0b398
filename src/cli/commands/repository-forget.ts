// `repository forget`: removes snapshots by id or by keep rules on the command line, as restic's forget does, and with our
// own rule that the newest proven recovery point stays.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { retentionPolicySchema, type RetentionPolicy } from '../../model/retention.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { forgetSnapshots } from '../../repository/forget.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshot, resolveSnapshotId } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import { renderJournalTrim, trimWithProgress, type JournalTrimSummary } from '../journal-trim.ts';
import { listArgument, listOption, switchOption, textOption } from '../option.ts';
import { openOne } from '../repository-choice.ts';
import {
  decideRetentionOf,
  forgetShown,
  retentionTable,
  type RetainedSnapshot,
  type RetentionRequest,
} from '../retention-run.ts';
import { pruneWithProgress, renderPrune, type PruneSummary } from './repository-prune.ts';

export interface ForgetData {
  readonly isDryRun: boolean;
  readonly snapshots: readonly RetainedSnapshot[];
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
  details: 'The data and the journals that they alone needed go with --prune, or with the next prune.',
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
    forgetProven: switchOption('--forget-proven', 'let the rules remove even the newest proven snapshot'),
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
    await using opened = await openOne(context, input.isDryRun ? 'read' : 'write');
    const { repository } = opened;
    const { component: only, host, forgetProven, isDryRun } = input;
    const policyFor: RetentionRequest['policyOf'] = (name) =>
      only === undefined || name === only ? policy : undefined;
    const request = policy && { host, forgetProven, policyOf: policyFor };
    const shown = await (request === undefined
      ? named(repository, input.ids, signal)
      : decideRetentionOf(repository, request, context));
    const removed = shown.filter(({ keep }) => !keep).map(({ id }) => id);
    if (isDryRun || removed.length === 0) {
      const without = new Set(removed);
      const journals = input.prunes
        ? await trimWithProgress(repository, context, { isDryRun: true, without })
        : undefined;
      return { isDryRun, snapshots: shown, journals, prune: undefined };
    }
    await requireConsent(context, `remove ${count(removed.length, 'snapshot')}`, input.isConfirmed);
    const snapshots = request === undefined ? shown : await forgetShown(repository, { shown, request }, context);
    if (request === undefined) await forgetSnapshots(repository, removed, { signal, lockWaitMs: settings.lockWaitMs });
    if (!input.prunes) return { isDryRun, snapshots, journals: undefined, prune: undefined };
    const journals = await trimWithProgress(repository, context, { isDryRun: false });
    const prune = await pruneWithProgress(repository, context, { isDryRun: false });
    return { isDryRun, snapshots, journals, prune };
  },
  render({ isDryRun, snapshots, journals, prune }, style) {
    const removed = snapshots.filter(({ keep }) => !keep).length;
    const lines = snapshots.length === 0 ? ['no snapshots fit'] : [retentionTable(snapshots, style)];
    lines.push(
      `${isDryRun ? 'would remove' : 'removed'} ${count(removed, 'snapshot')}, ${snapshots.length - removed} stay`,
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
    found.set(id, { id, time, component: componentOf(snapshot), keep: false, reasons: ['named'] });
  }
  return [...found.values()];
}
