// `postgres bisect`: after which commit a condition no longer holds.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { formatInstantUs, parseInstantUs, type RecoveryTarget } from '../../model/recovery-target.ts';
import { bisect } from '../../operations/restore/bisect.ts';
import type { PastCommit, PastServer } from '../../sources/explore.ts';
import { defineCommand } from '../command.ts';
import { textOption } from '../option.ts';
import { openPast, pastArguments } from '../past.ts';
import { replayOptions } from '../replay-request.ts';
import { wrap } from '../style.ts';

export interface BisectData {
  readonly component: string;
  readonly condition: string;
  readonly lastHeld: CommitData | undefined;
  readonly firstFailed: CommitData;
  readonly probes: number;
  /** No commit lies between the two. */
  readonly isExact: boolean;
  /** Brings the state right before it. */
  readonly restore: string;
}

interface CommitData {
  readonly position: string;
  readonly time: string;
  readonly xid: number;
}

const newest = { kind: 'latest' } as const;

/** Enough for 2^64 commits, and a bound all the same. */
const probesMax = 64;

export const postgresBisectCommand = defineCommand({
  summary: 'Find the commit after which a condition no longer holds',
  details:
    'Asks a throw-away server at one instant after the other, halving what is left, whether an SQL condition holds: a table has rows, a balance is right, a user exists. It must hold at the beginning and not at the end, and is taken to change once; where it changed back and forth, one of the changes is found. What it speaks of not being there counts as not holding. Prints the commit, and the command that restores the state right before it.',
  examples: [
    'lifeboat postgres bisect database --where "EXISTS (SELECT FROM orders)"',
    'lifeboat postgres bisect database --where "SELECT count(*) > 9 FROM users"',
  ],
  arguments: pastArguments,
  options: {
    condition: textOption('--where <sql>', 'a condition, or a query whose first value is one'),
    database: textOption('--database <name>', 'the database (default: the only one)'),
    from: textOption('--from <time>', 'an instant at which it held (default: the oldest that is kept)'),
    to: textOption('--to <time>', 'an instant at which it no longer held (default: the newest)'),
    timeline: replayOptions.timeline,
  },
  isLong: true,
  async run(context, { component, condition, database, from, to, timeline = newest }): Promise<BisectData> {
    if (condition === undefined) {
      throw new AppError('USAGE', 'no condition is given', { hint: 'Give one with --where "SQL".' });
    }
    await using past = await openPast(context, { component, from: undefined });
    await using place = await past.makePlace();
    let asked = 0;
    const ask = async (target: RecoveryTarget) => {
      const chosen = await past.choose({ target, timeline });
      await using server = await past.open(place, chosen);
      const holds = await past.source.explore.ask(server, { database, condition }, past.signal);
      asked += 1;
      const answer = holds === undefined ? 'is not there' : holds ? 'holds' : 'does not hold';
      context.progress.note(`${asked}. ${server.reached.position}: ${answer}`);
      return { holds, chosen, end: endOf(server) };
    };
    const end = await ask(timeTarget(to) ?? { kind: 'end' });
    if (end.holds === true) throw stillHolds(condition);
    const commits = await past.source.explore.commits(end.chosen.choice, past.signal);
    const start = await ask(timeTarget(from) ?? { kind: 'lsn', lsn: commits.start.position, isInclusive: false });
    if (start.holds !== true) throw neverHeld(condition, start.holds);
    const found = await bisect(
      {
        commits,
        from: start.end,
        to: end.end,
        probesMax,
        probe: async ({ position }) => {
          const { holds, end: replayed } = await ask({ kind: 'lsn', lsn: position, isInclusive: true });
          return { holds: holds === true, end: replayed };
        },
      },
      past.signal,
    );
    if (found.firstFailed === undefined) throw noCommit(condition);
    return {
      component,
      condition,
      lastHeld: found.lastHeld && commitData(found.lastHeld),
      firstFailed: commitData(found.firstFailed),
      probes: asked,
      isExact: found.isExact,
      restore: `lifeboat restore ${component} --lsn ${found.firstFailed.position} --exclusive --to <folder>`,
    };
  },
  render({ lastHeld, firstFailed, probes, isExact, restore }, style) {
    const last = lastHeld === undefined ? 'at the beginning of the search' : commitWords(lastHeld);
    return [
      `held     ${last}`,
      `no more  ${style.paint('bold', commitWords(firstFailed))}`,
      ...(isExact ? [] : [`given up after ${count(probes, 'question')}: there are commits between the two`]),
      ...wrap(
        'It is taken to have changed once; if it changed back and forth, this is one of the changes.',
        style.widthColumns,
      ),
      'To restore what was right before:',
      `  ${restore}`,
    ].join('\n');
  },
});

const commitData = ({ position, timeUs, xid }: PastCommit): CommitData => ({
  position,
  time: formatInstantUs(timeUs),
  xid,
});

const commitWords = ({ position, time, xid }: CommitData): string => `${position}, transaction ${xid}, ${time}`;

function timeTarget(text: string | undefined): RecoveryTarget | undefined {
  if (text === undefined) return undefined;
  return { kind: 'time', timeUs: parseInstantUs(text, Temporal.Now.timeZoneId()), isInclusive: true };
}

const endOf = ({ reached }: PastServer): string => reached.position;

function stillHolds(condition: string): AppError {
  return new AppError('NOT_FOUND', `at the end of the search it still holds: ${condition}`, {
    hint: 'Turn it round with NOT, or name another instant with --to.',
  });
}

function neverHeld(condition: string, holds: boolean | undefined): AppError {
  const why = holds === undefined ? 'what it speaks of is not there' : 'it does not hold';
  return new AppError('NOT_FOUND', `at the beginning of the search ${why}: ${condition}`, {
    hint: 'Correct the condition, or name an instant at which it held with --from.',
  });
}

function noCommit(condition: string): AppError {
  return new AppError('INCONCLUSIVE', `no commit in between changed it: ${condition}`, {
    hint: 'It depends on something that no transaction commits, such as a sequence, the time or chance.',
  });
}
