// How text for people looks: width, colours, times. Everything a `render` needs to stay pure.
import { formatByteSize } from '../base/byte-size.ts';
import { formatDuration } from '../base/duration.ts';
import type { Finding, FindingOutcome } from '../model/finding.ts';

export type Paint = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface Style {
  readonly widthColumns: number;
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
  return { widthColumns: 80, paint: (_, text) => text, timeZone: 'UTC', nowMs: 0, isVerbose: false, ...options };
}

/** `2026-11-20 18:10` in the style's zone. */
export function shortTime(time: string, { timeZone }: Style): string {
  const local = Temporal.Instant.from(time).toZonedDateTimeISO(timeZone);
  return local.toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ');
}

export function ageMs(time: string, { nowMs }: Style): number {
  return Math.max(0, nowMs - Temporal.Instant.from(time).epochMilliseconds);
}

/** `3h 12m ago`. */
export function ageWords(time: string, style: Style): string {
  const age = ageMs(time, style);
  return age < 60_000 ? 'just now' : `${formatDuration(age)} ago`;
}

/** `1.5 s`, `3m 12s`. */
export function elapsedWords(elapsedMs: number): string {
  return elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatDuration(elapsedMs);
}

export const shortId = (id: string): string => id.slice(0, 8);

/** `1 file`, `12 files`, `1,200 files`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}

export const bytes = (sizeBytes: number | undefined): string =>
  sizeBytes === undefined ? 'unknown' : formatByteSize(sizeBytes);

const marks: Readonly<Record<FindingOutcome, { readonly paint: Paint; readonly word: string }>> = {
  passed: { paint: 'green', word: 'ok' },
  warning: { paint: 'yellow', word: 'warning' },
  failed: { paint: 'red', word: 'FAILED' },
  inconclusive: { paint: 'yellow', word: 'unknown' },
};

export function outcomeWord(outcome: FindingOutcome, style: Style): string {
  const { paint, word } = marks[outcome];
  return style.paint(paint, word);
}

/** `ok       connection      PostgreSQL 15.18 at …` with the hint below it where something is wrong. */
export function findingLines(findings: readonly Finding[], style: Style): string[] {
  const aspectWidth = Math.min(24, Math.max(0, ...findings.map(({ aspect }) => aspect.length)));
  return findings.flatMap((finding) => {
    const { word, paint } = marks[finding.outcome];
    const lead = `${style.paint(paint, word.padEnd(8))} ${finding.aspect.padEnd(aspectWidth)}  `;
    const leadColumns = 8 + 1 + Math.max(aspectWidth, finding.aspect.length) + 2;
    const lines = wrap(finding.message, style.widthColumns - leadColumns);
    const indent = ' '.repeat(leadColumns);
    const hint = finding.outcome === 'passed' || finding.hint === undefined ? [] : [`hint: ${finding.hint}`];
    return [
      `${lead}${lines[0] ?? ''}`,
      ...lines.slice(1).map((line) => indent + line),
      ...hint.flatMap((text) => wrap(text, style.widthColumns - leadColumns)).map((line) => indent + line),
    ];
  });
}

/** Breaks text between words into lines of at most `widthColumns`; a word that is longer is broken inside. */
export function wrap(text: string, widthColumns: number): string[] {
  const width = Math.max(16, widthColumns);
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      let rest = word;
      if (line !== '' && line.length + 1 + rest.length <= width) {
        line += ` ${rest}`;
        continue;
      }
      if (line !== '') lines.push(line);
      for (; rest.length > width; rest = rest.slice(width)) lines.push(rest.slice(0, width));
      line = rest;
    }
    lines.push(line);
  }
  return lines;
}
