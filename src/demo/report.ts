// What the demonstration measured, and how it reads. Every number here was counted or timed in this run.
import { count } from '../base/count.ts';
import type { Proof } from '../model/proof.ts';
import { bytes, elapsedWords, shellLines, wrap, type Style } from '../cli/style.ts';
import { table } from '../cli/table.ts';
import type { LossWindow } from './loss-window.ts';
import type { Noticed } from './noticing.ts';
import type { LeftOut } from './servers.ts';

export interface BackupFigures {
  readonly component: string;
  readonly snapshot: string;
  /** Of a database. */
  readonly type?: 'full' | 'incremental';
  readonly files: { readonly new: number; readonly changed: number; readonly unmodified: number };
  /** Of the data as it was read. */
  readonly totalBytes: number;
  /** Of it not yet in the repository, and what that took there. */
  readonly addedBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

export interface Recovery {
  readonly component: string;
  readonly unit: 'row' | 'key' | 'file';
  readonly before: number;
  readonly lost: number;
  readonly back: number;
  readonly seconds: number;
  readonly restoredBytes: number;
  /** What keeps the earlier state, if anything does. */
  readonly kept: string | undefined;
  /** What did not come back as it was, or is not as the backup says. */
  readonly differences: readonly string[];
  /** By what the live data was compared. */
  readonly comparedBy: 'fingerprint' | 'hashes';
  readonly compared: number;
}

export interface DemoReport {
  readonly folder: string;
  readonly servers: { readonly postgres: string | undefined; readonly redis: string | undefined };
  readonly leftOut: readonly LeftOut[];
  readonly backups: { readonly first: readonly BackupFigures[]; readonly second: readonly BackupFigures[] };
  readonly proofs: readonly Pick<
    Proof,
    'component' | 'outcome' | 'message' | 'rows' | 'content' | 'durationSeconds' | 'sandbox'
  >[];
  readonly recoveries: readonly Recovery[];
  /** Of the database; undefined if there was none. */
  readonly journal: JournalFigures | undefined;
  /** The mails to whoever is on call. */
  readonly alert: { readonly noticed: Noticed; readonly resolved: Noticed };
  /** From the disaster's end until everything was back and compared. */
  readonly recoverySeconds: number;
  readonly repository: { readonly path: string; readonly passwordFile: string; readonly sizeBytes: number };
  readonly commands: readonly SuggestedCommand[];
  readonly elapsedSeconds: number;
  /** What is not as it should be; empty if all came back. */
  readonly failures: readonly string[];
  /** The servers go on until somebody ends them. */
  readonly isUp?: boolean;
}

export interface JournalFigures {
  /** To which the database went back. */
  readonly instant: string;
  readonly intervalMs: number;
  /** Confirmed to customers after the last backup. */
  readonly ordersSinceBackup: number;
  readonly ordersLost: number;
  readonly lossWindow: LossWindow | undefined;
}

export interface SuggestedCommand {
  readonly command: string;
  readonly purpose: string;
}

export function failuresOf({
  backups,
  proofs,
  recoveries,
  journal,
}: Pick<DemoReport, 'backups' | 'proofs' | 'recoveries' | 'journal'>): string[] {
  return [
    ...[...backups.first, ...backups.second].flatMap(({ component, problems }) =>
      problems.map((problem) => `backup of ${component}: ${problem}`),
    ),
    ...proofs
      .filter(({ outcome }) => outcome !== 'passed')
      .map(({ component, outcome, message }) => `proof of ${component} ${outcome}: ${message}`),
    ...recoveries.flatMap(({ component, lost, back, unit, differences }) => [
      ...(lost === back ? [] : [`${component}: ${count(lost, unit)} lost, ${count(back, unit)} came back`]),
      ...(lost > 0 ? [] : [`${component}: the disaster destroyed nothing, so nothing was shown`]),
      ...differences.map((difference) => `${component}: ${difference}`),
    ]),
    ...journalFailures(journal),
  ];
}

function journalFailures(journal: JournalFigures | undefined): string[] {
  if (journal === undefined) return [];
  const { ordersSinceBackup, ordersLost } = journal;
  if (ordersSinceBackup === 0) return ['no order came in after the last backup, so nothing was shown'];
  return ordersLost === 0 ? [] : [`${count(ordersLost, 'order')} of ${ordersSinceBackup} after the last backup lost`];
}

const failuresShownMax = 20;

export function renderReport(report: DemoReport, style: Style): string {
  const { failures, elapsedSeconds, recoverySeconds, leftOut } = report;
  const parts = [
    recoveryTable(report, style),
    ...journalWords(report, style),
    alertWords(report, style),
    totals(report, style),
  ];
  if (leftOut.length > 0) parts.push(leftOut.flatMap((one) => leftOutLines(one, style)).join('\n'));
  const time = `in ${elapsedWords(recoverySeconds * 1000)}; the whole demonstration took ${elapsedWords(elapsedSeconds * 1000)}`;
  if (failures.length === 0) {
    const verdict = `Everything that was lost came back, compared with what was there, ${time}.`;
    parts.push(
      wrap(verdict, style.widthColumns)
        .map((line) => style.paint('green', line))
        .join('\n'),
    );
  } else {
    const shown = failures.slice(0, failuresShownMax).flatMap((failure) => wrap(`- ${failure}`, style.widthColumns));
    const more = failures.length - failuresShownMax;
    const rest = more > 0 ? [`and ${more} more (--json lists all)`] : [];
    const title = style.paint('red', `NOT EVERYTHING IS AS IT WAS: ${count(failures.length, 'failure')}`);
    parts.push([title, ...shown, ...rest].join('\n'));
  }
  parts.push(suggestions(report, style));
  return `\n${parts.join('\n\n')}`;
}

function recoveryTable({ recoveries, backups }: DemoReport, style: Style): string {
  const columns = [
    { title: 'Component', shrinksTo: 9 },
    { title: 'Lost' },
    { title: 'Came back', align: 'right' as const },
    { title: 'Time', align: 'right' as const },
    { title: 'Restored', align: 'right' as const },
    { title: 'Ratio', align: 'right' as const },
  ];
  const rows = recoveries.map((recovery) => {
    const { component, unit, lost, before, back, seconds, restoredBytes } = recovery;
    const own = [...backups.first, ...backups.second].filter((backup) => backup.component === component);
    return [
      component,
      `${lost.toLocaleString('en-US')} of ${count(before, unit)}`,
      style.paint(back === lost ? 'green' : 'red', back.toLocaleString('en-US')),
      elapsedWords(seconds * 1000),
      bytes(restoredBytes),
      ratioWords(sumOf(own, 'totalBytes'), sumOf(own, 'storedBytes')),
    ];
  });
  return table(columns, rows, style);
}

function journalWords({ journal }: DemoReport, style: Style): string[] {
  if (journal === undefined) return [];
  const { ordersSinceBackup, ordersLost, lossWindow } = journal;
  const [since, lost] = [ordersSinceBackup.toLocaleString('en-US'), ordersLost.toLocaleString('en-US')];
  const orders = `Orders since the last backup that a nightly dump would have lost: ${since}, lost: ${lost}.`;
  const lines = wrap(orders, style.widthColumns).map((line) => style.paint(ordersLost === 0 ? 'green' : 'red', line));
  if (lossWindow === undefined) return [lines.join('\n')];
  const { commits, longestMs, meanMs } = lossWindow;
  const window =
    `Loss window: each of ${count(commits, 'commit')} was in the repository after ${elapsedWords(longestMs)} at the latest, ` +
    `${elapsedWords(meanMs)} on average. So much the loss of the whole machine would have cost.`;
  return [[...lines, ...wrap(window, style.widthColumns)].join('\n')];
}

function alertWords({ alert: { noticed, resolved } }: DemoReport, style: Style): string {
  const text =
    `Noticed by the server itself, and in the mailbox of whoever is on call, ${elapsedWords(noticed.seconds * 1000)} after the disaster; ` +
    `the all-clear came ${elapsedWords(resolved.seconds * 1000)} after it. Both lie in mail, what was measured in report.json.`;
  return wrap(text, style.widthColumns).join('\n');
}

/** Below 1 for little files, where the seals weigh more than the compression saves. */
function ratioWords(dataBytes: number, storedBytes: number): string {
  return storedBytes === 0 ? 'unknown' : `${(dataBytes / storedBytes).toFixed(1)} : 1`;
}

export function sumOf(
  backups: readonly BackupFigures[],
  field: 'totalBytes' | 'addedBytes' | 'storedBytes' | 'seconds',
): number {
  return backups.reduce((sum, backup) => sum + backup[field], 0);
}

function totals({ backups, repository, journal }: DemoReport, style: Style): string {
  const dataBytes = sumOf([...backups.first, ...backups.second], 'totalBytes');
  const text =
    `Ratio: data of both backups, to what the repository keeps of it, encrypted. In all ${bytes(dataBytes)} are kept in ` +
    `${bytes(repository.sizeBytes)} on disk${journal === undefined ? '' : ', with the journal'}. The second backup found ${bytes(sumOf(backups.second, 'addedBytes'))} new in ` +
    `${bytes(sumOf(backups.second, 'totalBytes'))} and stored ${bytes(sumOf(backups.second, 'storedBytes'))}.`;
  return wrap(text, style.widthColumns).join('\n');
}

export function leftOutLines({ what, reason, hint }: LeftOut, style: Pick<Style, 'widthColumns' | 'paint'>): string[] {
  const [first = '', ...rest] = wrap(`Left out: ${what}: ${reason}`, style.widthColumns);
  return [style.paint('yellow', first), ...rest, ...wrap(`hint: ${hint}`, style.widthColumns)];
}

/** When somebody has ended what stayed up. */
export function closingWords(folder: string, style: Pick<Style, 'widthColumns'>): string {
  return wrap(`The servers are stopped. The backups stay in ${folder}.`, style.widthColumns).join('\n');
}

function suggestions({ folder, commands, isUp }: DemoReport, style: Style): string {
  const lines = commands.flatMap(({ command, purpose }) => [
    ...shellLines(command, style.widthColumns - 2).map((line) => `  ${line}`),
    style.paint('dim', `      ${purpose}`),
  ]);
  const rest = `The backups stay in ${folder}, with their password; the next run makes them anew.`;
  const intro =
    isUp === true ? `All goes on. ${rest} Try in another terminal:` : `The servers are stopped. ${rest} Try:`;
  return [...wrap(intro, style.widthColumns), '', ...lines].join('\n');
}
