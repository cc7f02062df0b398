// `runs start`: has the service do a job now, without waiting for its schedule; or all that are to be done before an event.
import { shortEnding } from '../id-ending.ts';
import { AppError } from '../../base/errors.ts';
import { liveWorkers } from '../../catalog/workers.ts';
import { jobsBefore, jobsOnDemand, noJobBefore, noSuchJob, selfBackupJobsOf, type Job } from '../../model/job.ts';
import { startRuns } from '../../service/asked-runs.ts';
import { runOfJob, type RunOrigin } from '../../service/job-runs.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { listArgument, textOption } from '../option.ts';

export interface RunsStartData {
  readonly runs: readonly { readonly id: string; readonly job: string }[];
  /** Servers and workers that live: without one nothing begins. */
  readonly workers: number;
}

export const runsStartCommand = defineCommand({
  summary: 'Have the service do jobs now',
  details:
    "Jobs are named as 'lifeboat schedule' names them: backup/database, verification/offsite/data. Those that nothing starts by itself may be named as well. With --before all jobs start whose schedule says so, such as a backup before a deployment. A server or worker does them; 'lifeboat runs show' tells how far they are.",
  examples: ['lifeboat runs start backup/database', 'lifeboat runs start --before deployment'],
  arguments: { names: listArgument('[job...]', 'names of jobs') },
  options: { event: textOption('--before <event>', 'all jobs that are to be done before this event') },
  async run(context, { names, event }): Promise<RunsStartData> {
    const { application } = await requireConfiguration(context);
    const jobs = chosenJobs([...jobsOnDemand(application), ...selfBackupJobsOf(application)], names, event);
    await using access = await openAccess(context);
    const { log, actor } = access;
    const by = 'command line';
    const origin: RunOrigin = event === undefined ? { kind: 'request', by } : { kind: 'event', event, by };
    const round = Math.floor(context.clock.now() / 1000);
    const wanted = jobs.map((job) => runOfJob({ application: application.name, job, round }, origin));
    const ids = await startRuns(log, wanted, { actor });
    const workers = (await liveWorkers(log.catalog)).length;
    return { runs: ids.map((id, at) => ({ id, job: jobs[at]?.id ?? '' })), workers };
  },
  render: ({ runs, workers }, style) =>
    [
      ...runs.map(({ id, job }) => `${shortEnding(id)}  ${job}`),
      ...(workers > 0 ? [] : [style.paint('yellow', "nobody is at work: it waits for 'lifeboat server', or a worker")]),
    ].join('\n'),
});

function chosenJobs(jobs: readonly Job[], names: readonly string[], event: string | undefined): Job[] {
  if (names.length === 0 && event === undefined) {
    throw new AppError('USAGE', 'no job is named', {
      hint: "Name jobs as 'lifeboat schedule' does, or give --before.",
    });
  }
  const named = names.map((name) => {
    const job = jobs.find(({ id }) => id === name);
    if (job !== undefined) return job;
    throw noSuchJob(name, jobs);
  });
  const before = event === undefined ? [] : jobsBefore(jobs, event);
  if (event !== undefined && before.length === 0) throw noJobBefore(event);
  return [...new Set([...named, ...before])];
}
