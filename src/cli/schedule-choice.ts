// The job whose schedule a command is about.
import { AppError } from '../base/errors.ts';
import { allJobsOf } from '../model/job.ts';
import { requireConfiguration } from './component-choice.ts';
import type { CommandContext } from './context.ts';

/** Rejects with `NOT_FOUND` for one that is not configured. */
export async function knownJob(
  context: CommandContext,
  name: string,
): Promise<{ readonly application: string; readonly job: string }> {
  const { application } = await requireConfiguration(context);
  const jobs = allJobsOf(application);
  if (jobs.some(({ id }) => id === name)) return { application: application.name, job: name };
  throw new AppError('NOT_FOUND', `nothing is scheduled as ${name}`, {
    hint: `There are ${jobs.map(({ id }) => id).join(', ') || 'none'}.`,
  });
}

export function noSuchSchedule(job: string): AppError {
  return new AppError('NOT_FOUND', `no server has seen the schedule of ${job} yet`, {
    hint: "Start 'lifeboat server' first: it notes the schedules that it finds.",
  });
}
