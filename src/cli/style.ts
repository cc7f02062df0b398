// How text for people looks: width, colours, times. Everything a `render` needs to stay pure.
import { stripVTControlCharacters } from 'node:util';
import { formatByteSize } from '../base/byte-size.ts';
import { isoTime } from '../base/iso-time.ts';
import { formatAge } from '../base/duration.ts';
import type { Finding, FindingOutcome } from '../model/finding.ts';

export const paints = ['bold', 'dim', 'red', 'green', 'yellow', 'cyan'] as const;
export type Paint = (typeof paints)[number];

export interface Style {
  readonly widthColumns: number;
  /** People read it here; elsewhere a line that somebody searches for or clicks on stays whole. */
  readonly isTerminal: boolean;
  /** The text in a colour where the output shows colours. */
  paint(format: Paint, text: string): string;
  /** IANA name of the zone in which times are shown. */
  readonly timeZone: string;
  /** Ages count from here. */
  readonly nowMs: number;
  readonly isVerbose: boolean;
}

/** Without colours, in UTC: for tests and files. */
export function plainStyle(options: Partial<Style> = {}): Style {
  return {
    widthColumns: 80,
    isTerminal: false,
    paint: (_, text) => text,
    timeZone: 'UTC',
    nowMs: 0,
    isVerbose: false,
    ...options,
  };
}

/** `2026-11-20 18:10` in the style's zone. */
export function shortTime(time: string, { timeZone }: Style): string {
  const local = Temporal.Instant.from(time).toZonedDateTimeISO(timeZone);
  return local.toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ');
}

export const shortTimeAt = (ms: number, style: Style): string => shortTime(isoTime(ms), style);

function ageMs(time: string, { nowMs }: Style): number {
  return Math.max(0, nowMs - Temporal.Instant.from(time).epochMilliseconds);
}

/** `3h 12m ago`. */
export function ageWords(time: string, style: Style): string {
  const age = ageMs(time, style);
  return age < 60_000 ? 'just now' : `${formatAge(age)} ago`;
}

/** `1.5 s`, `3m 12s`. */
export function elapsedWords(elapsedMs: number): string {
  return elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatAge(elapsedMs);
}

export const shortId = (id: string): string => id.slice(0, 8);

export const bytes = (sizeBytes: number | undefined): string =>
  sizeBytes === undefined ? 'unknown' : formatByteSize(sizeBytes);

const marks: Readonly<Record<FindingOutcome, { readonly paint: Paint; readonly word: string }>> = {
  passed: { paint: 'green', word: 'ok' },
  warning: { paint: 'yellow', word: 'warning' },
  failed: { paint: 'red', word: 'FAILED' },
  inconclusive: { paint: 'yellow', word: 'unknown' },
};

/** `ok       connection      PostgreSQL 15.18 at …` with the hint below it where something is wrong. */
export function findingLines(findings: readonly Finding[], style: Style): string[] {
  const aspectWidth = Math.min(aspectColumnsMax, Math.max(0, ...findings.map(({ aspect }) => aspect.length)));
  const messageWidth = style.widthColumns - (outcomeColumns + 1 + aspectWidth + 2);
  return findings.flatMap(({ outcome, aspect, message, hint }) => {
    const { word, paint } = marks[outcome];
    const aspectLines = wrap(aspect, aspectWidth);
    const hints = outcome === 'passed' || hint === undefined ? [] : wrap(`hint: ${hint}`, messageWidth);
    const messageLines = [...wrap(message, messageWidth), ...hints];
    return Array.from({ length: Math.max(aspectLines.length, messageLines.length) }, (_, at) => {
      const mark = at === 0 ? style.paint(paint, word.padEnd(outcomeColumns)) : ' '.repeat(outcomeColumns);
      return `${mark} ${(aspectLines[at] ?? '').padEnd(aspectWidth)}  ${messageLines[at] ?? ''}`.trimEnd();
    });
  });
}

const outcomeColumns = 8;
/** Names in a configuration may be longer: they are broken, so that messages keep half the line. */
const aspectColumnsMax = 28;

/** Between words; a number and its unit are one. */
const gaps = /(?<!\d) | (?!(?:ms|s|min|h|B|[KMGT]iB)\b)/;
/** How many columns a text takes; colours take none. */
export const columnsOf = (text: string): number => Array.from(stripVTControlCharacters(text)).length;
/** Text in lines that are shorter is no longer read. */
const lineMinColumns = 16;

/** Breaks text between words into lines of at most `widthColumns`; a word that is longer is broken inside. */
export function wrap(text: string, widthColumns: number): string[] {
  return linesOf(text, Math.max(lineMinColumns, widthColumns));
}

/** What others named or wrote must not steer the terminal. */
export function printable(text: string): string {
  return visiblePath(text.replaceAll('\t', ' '));
}

/** The same of a path, where a tab is no space. */
export function visiblePath(path: string): string {
  return path.replaceAll(/\p{Cc}/gu, '?');
}

/** Facts line by line, as they are; on a terminal within its width, with what goes on in a line further to the right. */
export function factLines(text: string, { widthColumns, isTerminal }: Style, indent = ''): string[] {
  return text.split('\n').flatMap((line) => {
    const lead = indent + (/^ */.exec(line)?.[0] ?? '');
    const fact = printable(line.trimStart());
    if (!isTerminal || lead.length + columnsOf(fact) <= widthColumns) return [lead + fact];
    return wrap(fact, widthColumns - lead.length - 2).map((part, at) => `${lead}${at === 0 ? '' : '  '}${part}`);
  });
}

/** A command line for a shell, broken between its options where it is too long. */
export function shellLines(command: string, widthColumns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const part of command.split(/ (?=--)/)) {
    const longer = line === '' ? part : `${line} ${part}`;
    // Two columns for the backslash.
    if (line !== '' && longer.length > widthColumns - 2) {
      lines.push(`${line} \\`);
      line = `  ${part}`;
    } else line = longer;
  }
  return [...lines, line];
}

/** As `wrap`, however narrow. */
export function linesOf(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(gaps)) {
      let rest = word;
      if (line !== '' && columnsOf(line) + 1 + columnsOf(rest) <= width) {
        line += ` ${rest}`;
        continue;
      }
      if (line !== '') lines.push(line);
      for (; columnsOf(rest) > width; rest = Array.from(rest).slice(width).join(''))
        lines.push(Array.from(rest).slice(0, width).join(''));
      line = rest;
    }
    lines.push(line);
  }
  return lines;
}
