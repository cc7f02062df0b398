// The options of `restore` that name an instant rather than a snapshot.
import { AppError } from '../base/errors.ts';
import {
  formatInstantUs,
  parseInstantUs,
  parseLsnText,
  parseTimelineChoice,
  parseTransactionId,
  type RecoveryTarget,
  saysZone,
} from '../model/recovery-target.ts';
import type { ReplayAction, ReplayRequest } from '../sources/replay.ts';
import { choiceOption, listOption, parsedOption, switchOption, textOption } from './option.ts';

export const replayOptions = {
  at: textOption('--at <time>', 'the instant to go back to: 2026-11-20T10:15:00+01:00; now is --at-end'),
  lsn: parsedOption('--lsn <position>', 'the position of the log to go back to', {
    expected: 'a position like 16/B374D848',
    parse: parseLsnText,
  }),
  xid: parsedOption('--xid <number>', 'the transaction to go back to, with it', {
    expected: 'the number of a transaction',
    parse: parseTransactionId,
  }),
  restorePoint: textOption('--restore-point <name>', 'the restore point to go back to'),
  isAtEnd: switchOption('--at-end', 'to the end of all that was received'),
  isExclusive: switchOption('--exclusive', 'stop before what --at, --lsn or --xid names, not after it'),
  timeline: parsedOption('--timeline <number|latest|current>', 'which line of history to follow (default: latest)', {
    expected: 'a number, latest or current',
    parse: parseTimelineChoice,
  }),
  action: choiceOption('--action <what>', 'what to do at that instant (default: promote)', [
    'promote',
    'pause',
    'shutdown',
  ] as const),
  isStarted: switchOption('--start', 'start a server on the result, with its own configuration'),
  isOnlyPrepared: switchOption('--no-recover', 'put files in place for a start by hand, and start nothing'),
  places: listOption('--tablespace <old>=<new>', 'where a tablespace goes; inside the target folder if not named'),
  owner: textOption('--owner <account>', 'whom the files are to belong to (as root)'),
};

export interface ReplayInput {
  readonly at: string | undefined;
  readonly lsn: string | undefined;
  readonly xid: number | undefined;
  readonly restorePoint: string | undefined;
  readonly isAtEnd: boolean;
  readonly isExclusive: boolean;
  readonly timeline: ReplayRequest['timeline'] | undefined;
  readonly action: ReplayAction | undefined;
  readonly isStarted: boolean;
  readonly isOnlyPrepared: boolean;
  readonly places: readonly string[];
  readonly owner: string | undefined;
}

/** A snapshot is meant. */
export const noInstant: ReplayInput = {
  at: undefined,
  lsn: undefined,
  xid: undefined,
  restorePoint: undefined,
  isAtEnd: false,
  isExclusive: false,
  timeline: undefined,
  action: undefined,
  isStarted: false,
  isOnlyPrepared: false,
  places: [],
  owner: undefined,
};

/** Undefined if a snapshot is meant. Rejects with `USAGE` if more than one instant is named, or none and options that need one. */
export function replayRequestOf(input: ReplayInput, timeZone: string): ReplayRequest | undefined {
  const targets = targetsOf(input, timeZone);
  const [target, ...others] = targets;
  if (target === undefined) {
    const needless = needlessOption(input);
    if (needless === undefined) return undefined;
    throw new AppError('USAGE', `${needless} goes with an instant, and none is named`, {
      hint: 'Name one with --at, --lsn, --xid, --restore-point or --at-end.',
    });
  }
  if (others.length > 0) {
    throw new AppError('USAGE', 'more than one instant is named', {
      hint: 'Give one of --at, --lsn, --xid, --restore-point and --at-end.',
    });
  }
  if (input.isExclusive && !('isInclusive' in target)) {
    throw new AppError('USAGE', '--exclusive does not go with this target', { hint: 'Leave it out.' });
  }
  return { target, timeline: input.timeline ?? { kind: 'latest' } };
}

function targetsOf(input: ReplayInput, timeZone: string): RecoveryTarget[] {
  const { at, lsn, xid, restorePoint, isAtEnd } = input;
  const isInclusive = !input.isExclusive;
  const targets: RecoveryTarget[] = [];
  if (at === 'now') targets.push({ kind: 'end' });
  else if (at !== undefined) targets.push({ kind: 'time', timeUs: parseInstantUs(at, timeZone), isInclusive });
  if (lsn !== undefined) targets.push({ kind: 'lsn', lsn, isInclusive });
  if (xid !== undefined) targets.push({ kind: 'transaction', xid, isInclusive });
  if (restorePoint !== undefined) targets.push({ kind: 'restore-point', name: restorePoint });
  if (isAtEnd) targets.push({ kind: 'end' });
  return targets;
}

function needlessOption({ isExclusive, timeline, action, isStarted, isOnlyPrepared }: ReplayInput): string | undefined {
  if (isExclusive) return '--exclusive';
  if (timeline !== undefined) return '--timeline';
  if (action !== undefined) return '--action';
  if (isStarted) return '--start';
  return isOnlyPrepared ? '--no-recover' : undefined;
}

/** `/old=/new`; the first `=` that is followed by a path divides. */
export function placesOf(texts: readonly string[]): { from: string; to: string }[] {
  return texts.map((text) => {
    const [, from, to] = /^(\/.*?)=(\/.*)$/.exec(text) ?? [];
    if (from !== undefined && to !== undefined) return { from, to };
    throw new AppError('USAGE', `--tablespace: found '${text}', expected OLD=NEW with absolute paths`, {
      hint: 'Write it as --tablespace /srv/fast=/srv/copy-fast.',
    });
  });
}

/** What a time without a zone was taken for, so that nobody is an hour off without knowing. */
export function zoneNote({ at }: ReplayInput, { target }: ReplayRequest, timeZone: string): string | undefined {
  if (target.kind !== 'time' || at === undefined || saysZone(at)) return undefined;
  return `'${at}' is taken in the time zone of this machine, ${timeZone}: ${formatInstantUs(target.timeUs)}`;
}
