// `postgres standby`: keeps a warm copy of a server that replays the journal as it arrives in a repository, and proves on the way that
// backup and journal lead to the very rows that were there.
import { resolve } from 'node:path';
import { durationForm, parseDuration } from '../../base/duration.ts';
import { defineCommand } from '../command.ts';
import { parsedOption, requiredArgument, textOption } from '../option.ts';
import { runStandby, type StandbyData } from '../standby-run.ts';
import { standbySubject } from '../standby-subject.ts';
import { figuresWords, promotedLines } from '../standby-words.ts';
import { wrap, type Style } from '../style.ts';

const intervalDefaultMs = 5_000;
const intervalMinMs = 100;

export const standbyOptions = {
  to: textOption(
    '--to <folder>',
    'where its files are kept (default: where it was before, else below the state folder)',
  ),
  intervalMs: parsedOption('--interval <duration>', 'how often the repository is asked for more (default: 5s)', {
    expected: `${durationForm}, at least 100ms`,
    parse(text) {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= intervalMinMs ? ms : undefined;
    },
  }),
  owner: textOption('--owner <account>', 'whom its files are to belong to (as root)'),
};

export const standbyArguments = {
  component: requiredArgument('<component>', 'a component whose backups are physical'),
};

export interface StandbyInput {
  readonly to: string | undefined;
  readonly intervalMs: number | undefined;
  readonly owner: string | undefined;
}

export function standbyWish({ to, intervalMs, owner }: StandbyInput, defaultFolder: string, workingFolder: string) {
  return {
    folder: to === undefined ? defaultFolder : resolve(workingFolder, to),
    intervalMs: intervalMs ?? intervalDefaultMs,
    owner,
  };
}

export const postgresStandbyCommand = defineCommand({
  summary: 'Keep a warm copy of a server that follows its journal',
  details:
    'Restores the newest backup into a folder that stays, starts a private, read-only server on it, and replays what arrives in the repository until it is stopped (Ctrl-C, SIGTERM); the next run goes on from there. It compares its rows with the fingerprint of the backup, and later, at the very instants at which further backups take theirs, with those: each comparison is recorded as a proof. A repository that is away is waited for. Exit code 20: the last comparison failed.',
  examples: [
    'lifeboat postgres standby database',
    'lifeboat postgres standby database --to /srv/standby --interval 1s',
    'lifeboat postgres promote database   # from another terminal, in an emergency',
  ],
  arguments: standbyArguments,
  options: standbyOptions,
  isLong: true,
  async run(context, input): Promise<StandbyData> {
    const subject = await standbySubject(context, input.component);
    const wish = standbyWish(input, subject.defaultFolder, context.workingFolder);
    return runStandby(context, subject, { ...wish, promotes: false });
  },
  render: renderStandby,
  exitCode: ({ proofs }) => (proofs.at(-1)?.outcome === 'failed' ? 20 : 0),
});

function renderStandby({ component, folder, end, figures, proofs }: StandbyData, style: Style): string {
  if (end.kind === 'promoted') return promotedLines(component, end, style).join('\n');
  const where = figures === undefined ? '' : ` ${figuresWords(figures)}`;
  const last = proofs.at(-1);
  return [
    ...wrap(`stopped the standby of ${component}${where}; it stays in ${folder}`, style.widthColumns),
    ...(last === undefined ? [] : wrap(`last proof: ${last.outcome}: ${last.message}`, style.widthColumns)),
  ].join('\n');
}
