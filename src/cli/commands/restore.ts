// `restore`: brings a recovery point back, beside or in place. Decides first, shows it, asks where data would be replaced.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import { decideRestore, type DecidedRestore, type RestoreReport } from '../../operations/restore/restore.ts';
import { componentOf, type PointRequest } from '../../operations/restore/select-point.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { listOption, requiredArgument, switchOption, textOption } from '../option.ts';
import { PointSearch, unreadLines, type FoundPoint, type UnreadRepository } from '../point-search.ts';
import {
  componentLike,
  configuredComponent,
  noLock,
  openPoint,
  sharedLock,
  type OpenPoint,
} from '../recovery-point.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { bytes, elapsedWords, findingLines, plainStyle, shortId, shortTime, wrap, type Style } from '../style.ts';

export interface RestoreData {
  readonly snapshot: { readonly id: string; readonly time: string; readonly component: string | undefined };
  readonly target: string;
  readonly replaces: string | undefined;
  readonly steps: readonly string[];
  readonly findings: readonly Finding[];
  readonly totalBytes: number | undefined;
  /** Which one it came from, and those that could not be looked at. */
  readonly repository: string;
  readonly unread: readonly UnreadRepository[];
  /** Absent after a dry run. */
  readonly report: RestoreReport | undefined;
  readonly elapsedMs: number;
}

/** What a restore would do. */
export type RestorePreview = Omit<RestoreData, 'report' | 'elapsedMs'>;

const options = {
  component: textOption('--component <name>', 'the component whose snapshots count, where a snapshot is named'),
  from: textOption('--from <snapshot>', `which recovery point of the component: ${snapshotWords} (default: latest)`),
  to: textOption('--to <target>', 'folder, server URL or database name; where the data came from if absent'),
  include: listOption('--include <path>', 'only these paths, patterns or databases'),
  exclude: listOption('--exclude <path>', 'all but these paths or patterns'),
  base: textOption('--base <folder>', 'folder of the snapshot that becomes the target folder itself'),
  isDelta: switchOption('--delta', 'rewrite only the blocks that differ inside files that exist'),
  isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
  isConfirmed: switchOption('--yes', 'replace what exists without asking'),
};

export const restoreCommand = defineCommand({
  summary: 'Bring data back',
  details:
    'Names a component, or a snapshot. Looks through all repositories, or that of --repository: for the newest of all that fit, or for the first that has the id; one that cannot be read is left out with a warning (exit code 3). Without --to the data goes back to where it came from: files in place, databases beside the old ones, which are then swapped and kept. What would be replaced must be confirmed.',
  examples: [
    'lifeboat restore uploads --to ./restored',
    'lifeboat restore database --from latest-proven --dry-run',
    'lifeboat restore uploads --from before:2026-11-20 --include /srv/uploads/2026',
    'lifeboat restore latest --to ./restored --repository /srv/repo',
    'lifeboat restore before:2026-11-20 --component uploads --to ./restored',
  ],
  arguments: { what: requiredArgument('<component|snapshot>', `a component, or ${snapshotWords}`) },
  options,
  isLong: true,
  async run(context, input): Promise<RestoreData> {
    const startMs = context.clock.now();
    await using search = new PointSearch(context, input.isDryRun ? 'read' : 'write');
    const found = await search.find(await requestOf(input, search, context));
    const { repository } = found.opened;
    await using lock = input.isDryRun ? noLock() : await sharedLock(repository, context);
    const signal = AbortSignal.any([context.signal, lock.signal]);
    await using point = await openPoint(repository, found.snapshot.id, signal);
    const decision = await decide(point, { ...context, signal }, input);
    const data = dataOf(found, decision, search.unread);
    if (input.isDryRun) return { ...data, report: undefined, elapsedMs: context.clock.now() - startMs };
    const isAsking = decision.replaces !== undefined && !input.isConfirmed;
    if (!isAsking) noteWarnings(decision.findings, context);
    if (decision.replaces !== undefined) {
      if (isAsking) context.progress.note(decisionLines(data, plain()).join('\n'));
      // What can't be done is refused below, before anybody is asked.
      const isPossible = decision.findings.every(({ outcome }) => outcome !== 'failed');
      if (isPossible) await requireConsent(context, `replace ${decision.replaces}`, input.isConfirmed);
    }
    const report = await decision.execute(({ step, bytes: bytesDone }) =>
      context.progress.update({ work: step, bytesDone, bytesTotal: decision.totalBytes }),
    );
    return { ...data, report, elapsedMs: context.clock.now() - startMs };
  },
  render(data, style) {
    const { report, elapsedMs } = data;
    if (report === undefined) return [...decisionLines(data, style), 'nothing was done: --dry-run'].join('\n');
    const title = `restored snapshot ${shortId(data.snapshot.id)} to ${data.target} in ${elapsedWords(elapsedMs)}`;
    return [...restoredLines(title, style), ...reportLines(report, style), ...unreadLines(data.unread, style)].join(
      '\n',
    );
  },
  exitCode({ report, findings, unread }) {
    if (report === undefined && findings.some(({ outcome }) => outcome === 'failed')) return 1;
    return unread.length > 0 || (report?.problems.length ?? 0) > 0 ? 3 : 0;
  },
});

type Input = Parameters<typeof restoreCommand.run>[1];

/** Components of the configuration, else those that the snapshots themselves name, else snapshots. */
async function requestOf(
  { what, from, component }: Pick<Input, 'what' | 'from' | 'component'>,
  search: PointSearch,
  context: CommandContext,
): Promise<PointRequest> {
  if (component !== undefined && from !== undefined) {
    throw new AppError('USAGE', `'${what}' and --from both name a snapshot of ${component}`, {
      hint: `Write 'lifeboat restore ${component} --from <snapshot>'.`,
    });
  }
  if (component !== undefined) return { component, from: what };
  if (from !== undefined) return { component: what, from };
  const components = (await context.findConfiguration())?.application.components ?? [];
  return components.some(({ name }) => name === what) ? { component: what, from: 'latest' } : search.meaningOf(what);
}

async function decide(point: OpenPoint, context: CommandContext, input: Input): Promise<DecidedRestore> {
  const component = await configuredComponent(point.snapshot, context);
  // A guessed server must never be the target: without a configuration the target has to be named.
  const known = component ?? (input.to === undefined ? undefined : componentLike(point.snapshot));
  const source = known === undefined ? undefined : await context.sourceOf(known);
  const { to, base, include, exclude, isDelta } = input;
  return decideRestore({ ...point, source, to, base, include, exclude, isDelta }, context.signal);
}

export function dataOf(
  { snapshot, opened }: FoundPoint,
  decision: DecidedRestore,
  unread: readonly UnreadRepository[],
): RestorePreview {
  const { target, replaces, steps, findings, totalBytes } = decision;
  const { id, time } = snapshot;
  return {
    snapshot: { id, time, component: componentOf(snapshot) },
    target,
    replaces,
    steps,
    findings,
    totalBytes,
    repository: opened.settings.name,
    unread,
  };
}

/** For the question, which goes to the terminal before the result does. */
export const plain = (): Style => plainStyle({ timeZone: Temporal.Now.timeZoneId() });

/** Who is asked sees them above the question; who said yes beforehand must see them too. In JSON they are in the summary. */
export function noteWarnings(
  findings: readonly Finding[],
  { progress, settings }: Pick<CommandContext, 'progress' | 'settings'>,
): void {
  const warnings = findings.filter(({ outcome }) => outcome === 'warning' || outcome === 'inconclusive');
  if (warnings.length > 0 && !settings.isJson) progress.note(findingLines(warnings, plain()).join('\n'));
}

export function decisionLines(data: RestorePreview, style: Style): string[] {
  const { snapshot, target, replaces, steps, findings, totalBytes, unread } = data;
  const whose = snapshot.component === undefined ? '' : ` of ${snapshot.component}`;
  const size = totalBytes === undefined ? '' : `, ${bytes(totalBytes)}`;
  return [
    `snapshot ${shortId(snapshot.id)}${whose} from ${shortTime(snapshot.time, style)}${size}`,
    `target   ${target}`,
    `replaces ${replaces ?? 'nothing'}`,
    ...unreadLines(unread, style),
    ...steps.flatMap((step, at) => wrap(`${at + 1}. ${step}`, style.widthColumns - 2)).map((line) => `  ${line}`),
    ...findingLines(findings, style),
  ];
}

/** `title` begins with "restored". */
export function restoredLines(title: string, style: Style): string[] {
  return wrap(title, style.widthColumns).map((line) => line.replace(/^restored/, style.paint('green', 'restored')));
}

export function reportLines(report: RestoreReport, style: Style): string[] {
  const lines = report.restored.flatMap((line) => wrap(line, style.widthColumns - 2)).map((line) => `  ${line}`);
  if (report.kept !== undefined)
    lines.push(...wrap(`kept: ${report.kept}`, style.widthColumns - 2).map((line) => `  ${line}`));
  if (report.problems.length > 0) {
    lines.push(style.paint('yellow', `  ${count(report.problems.length, 'item')} did not come back as they were:`));
    lines.push(...report.problems.slice(0, 20).map(({ path, message }) => `    ${path}: ${message}`));
    if (report.problems.length > 20) lines.push(`    and ${report.problems.length - 20} more (--json lists all)`);
  }
  return lines;
}
