// `schedule pause`: leaves out what a schedule would start, until a time or until somebody resumes it.
import { durationForm, parseDuration } from '../../base/duration.ts';
import { isoTime } from '../../base/iso-time.ts';
import { pauseAskedSchedule } from '../../service/asked-schedules.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { parsedOption, requiredArgument } from '../option.ts';
import { knownJob, noSuchSchedule } from '../schedule-choice.ts';
import { shortTime } from '../style.ts';

export interface SchedulePauseData {
  readonly job: string;
  /** Absent where somebody must resume it. */
  readonly until: string | undefined;
}

export const schedulePauseCommand = defineCommand({
  summary: 'Pause a schedule; what comes meanwhile is left out',
  details:
    "Names a job as 'lifeboat schedule --json' does: backup/database, retention/local. The server starts nothing by that schedule until the time given with --for is over, or 'lifeboat schedule resume' is called; what people start is done all the same.",
  examples: ['lifeboat schedule pause backup/database --for 2h', 'lifeboat schedule pause retention/local'],
  arguments: { job: requiredArgument('<job>', 'name of a job') },
  options: {
    spanMs: parsedOption('--for <duration>', 'how long; until it is resumed if absent', {
      expected: durationForm,
      parse: (text) => parseDuration(text) || undefined,
    }),
  },
  async run(context, { job: name, spanMs }): Promise<SchedulePauseData> {
    const { application, job } = await knownJob(context, name);
    await using access = await openAccess(context);
    const { log, actor } = access;
    const untilMs = spanMs === undefined ? undefined : (await log.catalog.nowMs()) + spanMs;
    if (!(await pauseAskedSchedule(log, { application, job, actor, untilMs }))) throw noSuchSchedule(job);
    return { job, until: untilMs === undefined ? undefined : isoTime(untilMs) };
  },
  render: ({ job, until }, style) =>
    until === undefined
      ? `${job} is paused until 'lifeboat schedule resume ${job}'`
      : `${job} is paused until ${shortTime(until, style)}`,
});
