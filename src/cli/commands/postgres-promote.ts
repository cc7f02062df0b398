// `postgres promote`: lets the standby of a component take over, whether it runs or lies there.
import { AppError, isAppError } from '../../base/errors.ts';
import {
  forgetPromotion,
  isRunning,
  readStandbyRecord,
  requestPromotion,
} from '../../operations/standby/standby-record.ts';
import type { StandbyEnd } from '../../sources/standby.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { runStandby } from '../standby-run.ts';
import { standbySubject } from '../standby-subject.ts';
import { promotedLines } from '../standby-words.ts';
import { standbyArguments, standbyOptions, standbyWish } from './postgres-standby.ts';

export type PromoteData = Extract<StandbyEnd, { kind: 'promoted' }> & { readonly component: string };

const pollMs = 200;

export const postgresPromoteCommand = defineCommand({
  summary: 'Let the standby of a server take over, as an emergency server',
  details:
    'The standby replays all that is in the repository (or that it has, where the repository does not answer), leaves its recovery for a timeline of its own, and a server is left running on it that takes changes. How to reach it is printed. One that runs is told to do so; one that does not is brought up to the end of the journal first. Make sure that the original takes no more changes.',
  examples: ['lifeboat postgres promote database', 'lifeboat postgres promote database --to /srv/standby'],
  arguments: standbyArguments,
  options: standbyOptions,
  isLong: true,
  async run(context, input): Promise<PromoteData> {
    const { component } = input;
    const subject = await standbySubject(context, component);
    const wish = standbyWish(input, subject.defaultFolder, context.workingFolder);
    try {
      const { end } = await runStandby(context, subject, { ...wish, promotes: true });
      context.signal.throwIfAborted();
      if (end.kind === 'promoted') return { component, ...end };
      throw new AppError('INTERRUPTED', 'the standby was stopped before it took over', { hint: 'Promote it again.' });
    } catch (error) {
      if (!isAppError(error, 'REPOSITORY_LOCKED')) throw error;
      return { component, ...(await promoteRunning(context, subject.recordFolder)) };
    }
  },
  render: ({ component, ...end }, style) => promotedLines(component, end, style).join('\n'),
});

/** It writes down what became of it. */
async function promoteRunning(
  { clock, signal, progress }: CommandContext,
  recordFolder: string,
): Promise<Extract<StandbyEnd, { kind: 'promoted' }>> {
  const sinceMs = clock.now();
  try {
    for (;;) {
      await requestPromotion(recordFolder);
      const record = await readStandbyRecord(recordFolder);
      if (record?.promoted !== undefined && record.writtenAtMs >= sinceMs) {
        return { kind: 'promoted', ...record.promoted };
      }
      if (record === undefined || !isRunning(record, clock.now())) {
        const why = record?.problem === undefined ? '' : `: ${record.problem}`;
        throw new AppError('RESTORE_FAILED', `the standby that ran has ended without taking over${why}`, {
          hint: 'Promote again: then it is brought up by this command.',
        });
      }
      progress.update({ work: 'promote', detail: record.problem ?? record.phase });
      await systemSleep(pollMs, signal);
    }
  } finally {
    await forgetPromotion(recordFolder);
    progress.clear();
  }
}
