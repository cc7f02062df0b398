// A command line as a step of a run: what it tells is told of the run, and how it ended is kept.
import { z } from 'zod';
import { errorKinds } from '../base/errors.ts';
import type { RunContext } from '../workflow/run-context.ts';
import { runJob, type JobCommand } from './job-process.ts';
import { digestOf } from './outcome-digest.ts';

const outcomeSchema = z.object({ exitCode: z.number(), digest: z.record(z.string(), z.unknown()) });
export type StepOutcome = z.output<typeof outcomeSchema>;

const warningsExitCode = errorKinds.COMPLETED_WITH_WARNINGS.exitCode;

/** Warnings are no failure. */
export const hasFailed = ({ exitCode }: StepOutcome): boolean => exitCode !== 0 && exitCode !== warningsExitCode;

export async function runCommandStep(run: RunContext, name: string, command: JobCommand): Promise<StepOutcome> {
  const events = {
    onNote: (text: string): void => void run.tell('note', text).catch(() => undefined), // It is history, not state.
    onStatus: (status: object): void => run.progress(status),
  };
  return run.step(name, outcomeSchema, async ({ signal }) => {
    await run.tell('command', `lifeboat ${command.args.join(' ')}`);
    run.requireLease();
    const { exitCode, summary } = await runJob(command, events, signal);
    return { exitCode, digest: digestOf(summary) };
  });
}
