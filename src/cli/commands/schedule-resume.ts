// `schedule resume`: lets a schedule go on from now.
import { resumeAskedSchedule } from '../../service/asked-schedules.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';
import { knownJob, noSuchSchedule } from '../schedule-choice.ts';

export interface ScheduleResumeData {
  readonly job: string;
}

export const scheduleResumeCommand = defineCommand({
  summary: 'Let a paused schedule go on from now',
  examples: ['lifeboat schedule resume backup/database'],
  arguments: { job: requiredArgument('<job>', 'name of a job') },
  options: {},
  async run(context, { job: name }): Promise<ScheduleResumeData> {
    const { application, job } = await knownJob(context, name);
    await using access = await openAccess(context);
    const { log, actor } = access;
    if (!(await resumeAskedSchedule(log, { application, job, actor }))) throw noSuchSchedule(job);
    return { job };
  },
  render: ({ job }) => `${job} goes on by its schedule`,
});
