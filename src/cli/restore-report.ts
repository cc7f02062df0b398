// What `restore` and `restore-all` tell: before, so that somebody can say yes or no, and after.
import { count } from '../base/count.ts';
import { errorKinds } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import type { DecidedRestore, RestoreReport } from '../operations/restore/restore.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { ReplayInstant, ReplayWindow } from '../sources/replay.ts';
import type { CommandContext } from './context.ts';
import type { MeasuredRpo } from './measured-rpo.ts';
import { unreadLines, type FoundPoint, type UnreadRepository } from './point-search.ts';
import { bytes, factLines, findingLines, plainStyle, shortId, shortTime, wrap, type Style } from './style.ts';

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
  /** Of a recovery to an instant. */
  readonly recovery?: RecoveryPreview | undefined;
  /** What was lost, where sentinels are written. */
  readonly measured?: MeasuredRpo | undefined;
  /** Absent after a dry run. */
  readonly report: RestoreReport | undefined;
  readonly elapsedMs: number;
}

export interface RecoveryPreview {
  /** What is reached, as far as it is known beforehand. */
  readonly reaches: ReplayInstant;
  readonly timeline: string;
  readonly replayBytes: number;
  readonly window: ReplayWindow;
  readonly reasons: readonly string[];
}

/** What a restore would do. */
export type RestorePreview = Omit<RestoreData, 'report' | 'elapsedMs' | 'measured'>;

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
  const { snapshot, target, replaces, steps, findings, totalBytes, unread, recovery } = data;
  const whose = snapshot.component === undefined ? '' : ` of ${snapshot.component}`;
  const size = totalBytes === undefined ? '' : `, ${bytes(totalBytes)}`;
  return [
    `snapshot ${shortId(snapshot.id)}${whose} from ${shortTime(snapshot.time, style)}${size}`,
    `target   ${target}`,
    `replaces ${replaces ?? 'nothing'}`,
    ...(recovery === undefined ? [] : recoveryLines(recovery, style)),
    ...unreadLines(unread, style),
    ...steps.flatMap((step, at) => wrap(`${at + 1}. ${step}`, style.widthColumns - 2)).map((line) => `  ${line}`),
    ...findingLines(findings, style),
  ];
}

function recoveryLines({ window, reasons, replayBytes }: RecoveryPreview, style: Style): string[] {
  const reachable = `window   ${windowText(window, style)} on ${window.branch}`;
  return [
    ...wrap(reachable, style.widthColumns),
    `replays  ${bytes(replayBytes)} of the journal`,
    ...reasons.flatMap((reason) => wrap(`- ${reason}`, style.widthColumns - 2)).map((line) => `  ${line}`),
  ];
}

/** Both ends of a window, rounded into it: what is shown can be given to `--at`. One of less than a second is not rounded. */
export function windowText({ from, to }: Pick<ReplayWindow, 'from' | 'to'>, style: Style): string {
  const [first, last] = [Math.ceil((from.timeUs ?? 0) / secondUs), Math.floor((to.timeUs ?? Infinity) / secondUs)];
  if (first > last) return `${instantText(from, style)} to ${instantText(to, style)}`;
  const rounded = (instant: ReplayInstant, seconds: number): ReplayInstant =>
    instant.timeUs === undefined ? instant : { ...instant, timeUs: seconds * secondUs };
  return `${instantText(rounded(from, first), style)} to ${instantText(rounded(to, last), style)}`;
}

const secondUs = 1_000_000;

function instantText({ position, timeUs }: ReplayInstant, style: Style): string {
  if (timeUs === undefined) return position;
  const instant = Temporal.Instant.fromEpochNanoseconds(BigInt(timeUs) * 1000n);
  const smallestUnit = timeUs % secondUs === 0 ? 'second' : 'microsecond';
  const text = instant.toZonedDateTimeISO(style.timeZone).toString({ smallestUnit, timeZoneName: 'never' });
  return `${text.replace('T', ' ')} (${position})`;
}

/** `title` begins with "restored", which is said of all or of a part. */
export function restoredLines(title: string, report: RestoreReport, style: Style): string[] {
  const isWhole = report.problems.every(({ isLost }) => isLost !== true);
  const words = isWhole ? 'restored' : 'restored in part';
  const painted = style.paint(isWhole ? 'green' : 'yellow', words);
  return wrap(title.replace(/^restored/, words), style.widthColumns).map((line) => line.replace(words, painted));
}

/** 20: bytes that should have come back are lost in this repository. 3: something else is not as it was. */
export function reportExitCode({ problems }: RestoreReport): number {
  if (problems.some(({ code }) => code === 'REPOSITORY_DAMAGED')) return errorKinds.REPOSITORY_DAMAGED.exitCode;
  return problems.length > 0 ? 3 : 0;
}

export function reportLines(report: RestoreReport, style: Style): string[] {
  const lines = report.restored.flatMap((line) => wrap(line, style.widthColumns - 2)).map((line) => `  ${line}`);
  if (report.kept !== undefined)
    lines.push(...wrap(`kept: ${report.kept}`, style.widthColumns - 2).map((line) => `  ${line}`));
  if (report.problems.length > 0) {
    lines.push(style.paint('yellow', `  ${problemWords(report.problems)}:`));
    lines.push(
      ...report.problems.slice(0, 20).flatMap(({ path, message }) => factLines(`${path}: ${message}`, style, '    ')),
    );
    if (report.problems.length > 20) lines.push(`    and ${report.problems.length - 20} more (--json lists all)`);
    if (report.problems.some(({ code }) => code === 'REPOSITORY_DAMAGED'))
      lines.push(...wrap(damageHint, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  return lines;
}

const damageHint =
  "hint: The repository is damaged. See how far with 'lifeboat verify --read-data', and restore these from an older snapshot or from another repository.";

function problemWords(problems: RestoreReport['problems']): string {
  const lost = problems.filter(({ isLost }) => isLost === true).length;
  const changed = problems.length - lost;
  const words = [
    ...(lost > 0 ? [`${count(lost, 'item')} did not come back`] : []),
    ...(changed > 0
      ? [`${count(changed, 'item')} did not come back as ${changed === 1 ? 'it was' : 'they were'}`]
      : []),
  ];
  return words.join(', ');
}
