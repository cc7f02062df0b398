// What a recovering server says on its way, in its own words: the only witness while nobody can connect.
import { type Lsn, parseLsn } from '../wal/lsn.ts';

export type LogEvent =
  | { readonly kind: 'consistent'; readonly lsn: Lsn }
  | { readonly kind: 'replaying'; readonly lsn: Lsn }
  /** `after WAL location (LSN) "0/3000060"`. */
  | { readonly kind: 'stopping'; readonly words: string }
  | { readonly kind: 'replayed'; readonly lsn: Lsn }
  /** In the server's words, in UTC. */
  | { readonly kind: 'last-transaction'; readonly time: string }
  | { readonly kind: 'timeline'; readonly timeline: number }
  /** It waits at the target. */
  | { readonly kind: 'paused' }
  | { readonly kind: 'limits-too-low'; readonly words: string }
  | { readonly kind: 'readable' }
  | { readonly kind: 'promoted' }
  | { readonly kind: 'failure'; readonly words: string };

const lsnForm = '([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})';
type Reading = readonly [RegExp, (match: RegExpExecArray) => LogEvent | undefined];

const withLsn =
  (kind: 'consistent' | 'replaying' | 'replayed') =>
  ([, text = '']: RegExpExecArray): LogEvent | undefined => {
    const lsn = parseLsn(text);
    return lsn === undefined ? undefined : { kind, lsn };
  };

const readings: readonly Reading[] = [
  [new RegExp(`^LOG: {2}consistent recovery state reached at ${lsnForm}`), withLsn('consistent')],
  [new RegExp(`^LOG: {2}redo in progress, .*current LSN: ${lsnForm}`), withLsn('replaying')],
  [new RegExp(`^LOG: {2}redo done at ${lsnForm}`), withLsn('replayed')],
  [/^LOG: {2}recovery stopping (.*)/, ([, words = '']) => ({ kind: 'stopping', words })],
  [/^LOG: {2}last completed transaction was at log time (.*)/, ([, time = '']) => ({ kind: 'last-transaction', time })],
  [/^LOG: {2}selected new timeline ID: (\d+)/, ([, number]) => ({ kind: 'timeline', timeline: Number(number) })],
  [/^LOG: {2}pausing at the end of recovery/, () => ({ kind: 'paused' })],
  [/^(?:WARNING|LOG): {2}(hot standby is not possible because of insufficient.*)/, limitsTooLow],
  [/^LOG: {2}database system is ready to accept read-only connections/, () => ({ kind: 'readable' })],
  [/^LOG: {2}database system is ready to accept connections/, () => ({ kind: 'promoted' })],
  [/^(?:FATAL|PANIC): {2}(.*)/, ([, words = '']) => ({ kind: 'failure', words })],
];

function limitsTooLow([, words = '']: RegExpExecArray): LogEvent {
  return { kind: 'limits-too-low', words };
}

/** Undefined for the many lines that tell nothing of the recovery. The prefix is empty, the language English. */
export function readLogLine(line: string): LogEvent | undefined {
  for (const [form, read] of readings) {
    const match = form.exec(line);
    if (match !== null) return read(match);
  }
  return undefined;
}

const lineMax = 4_000;

/** Cuts what comes in pieces into lines; keeps the last ones for an error. */
export class LogLines {
  readonly #onLine: (line: string) => void;
  #rest = '';
  #kept: string[] = [];

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, lineMax);
    for (const line of lines) {
      this.#kept = [...this.#kept, line.slice(0, lineMax)].slice(-linesKeptMax);
      this.#onLine(line);
    }
  }

  /** What went wrong, in the server's words: its last complaints with what explains them. */
  get complaints(): string {
    // Before it has a log it speaks by its name.
    const isTelling = /^(?:(?:FATAL|PANIC|ERROR|WARNING|DETAIL|HINT): {2}|postgres: )/;
    return this.#kept
      .filter((line) => isTelling.test(line))
      .slice(-4)
      .join('; ');
  }
}

const linesKeptMax = 200;
