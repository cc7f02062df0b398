// `schedule`: what comes next of all that runs by itself, and when.
import { count } from '../../base/count.ts';
import { dayMs } from '../../base/duration.ts';
import { isoTime } from '../../base/iso-time.ts';
import { allJobsOf, concerns, type Job } from '../../model/job.ts';
import { isClockSchedule, type JobKind, type Schedule } from '../../model/schedule.ts';
import { describeSchedule } from '../../model/schedule-words.ts';
import { upcomingRuns, type UpcomingRun } from '../../model/upcoming-runs.ts';
import { defineCommand } from '../command.ts';
import { chooseComponents, requireConfiguration } from '../component-choice.ts';
import { listOption, parsedOption } from '../option.ts';
import { pausesOf } from '../pauses.ts';
import { shortTime, type Style } from '../style.ts';
import { table } from '../table.ts';

/** What a run does, and where. */
interface ScheduledJob {
  readonly job: string;
  readonly kind: JobKind;
  readonly components: readonly string[];
  /** Those written to, or looked at. */
  readonly repositories: readonly string[];
  /** Of copies. */
  readonly from?: string | undefined;
  /** In words. */
  readonly schedule: string;
}

interface ScheduledRun extends ScheduledJob {
  /** RFC 3339, by the clock of `timeZone`. */
  readonly time: string;
  /** Later than `time` where maintenance holds it back; absent where that has no end. */
  readonly begins: string | undefined;
  readonly timeZone: string;
}

interface PausedJob {
  readonly job: string;
  readonly isPaused: true;
  /** Absent where somebody must resume it. */
  readonly pausedUntil: string | undefined;
}

export interface ScheduleData {
  readonly runs: readonly ScheduledRun[];
  /** There are more in the days asked for. */
  readonly isCut: boolean;
  /** Jobs that come when something else has happened, or is about to. */
  readonly waiting: readonly ScheduledJob[];
  /** What comes in their pause is left out of the runs. */
  readonly paused: readonly PausedJob[];
}

const runsDefault = 20;
const runsMax = 1000;
const daysMax = 3660;

const wholeNumber = (max: number) => ({
  expected: `a whole number from 1 to ${max}`,
  parse: (text: string) => (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= max ? Number(text) : undefined),
});

export const scheduleCommand = defineCommand({
  summary: 'Show what runs next, and when',
  details:
    'Backups, copies, removals, verifications and proofs that lifeboat.yaml schedules, by the clock of the zone that each schedule names, with its offset from UTC. What other jobs or events start is listed below them. What comes while its schedule is paused is left out, and the pause is told.',
  examples: [
    'lifeboat schedule',
    'lifeboat schedule --days 7 --component database',
    'lifeboat schedule --count 3 --json',
  ],
  arguments: {},
  options: {
    days: parsedOption('--days <number>', 'runs of the next so many days', wholeNumber(daysMax)),
    runCount: parsedOption(
      '--count <number>',
      `how many runs (default: ${runsDefault}, or ${runsMax} with --days)`,
      wholeNumber(runsMax),
    ),
    components: listOption('--component <name>', 'only what is about this component'),
  },
  async run(context, { days, runCount, components }): Promise<ScheduleData> {
    const { application } = await requireConfiguration(context);
    const names = components.length === 0 ? [] : chooseComponents(application, components).map(({ name }) => name);
    const jobs = allJobsOf(application).filter(
      (job) => names.length === 0 || names.some((name) => concerns(job, name)),
    );
    const after = context.clock.now();
    const until = days === undefined ? Infinity : after + days * dayMs;
    const countMax = runCount ?? (days === undefined ? runsDefault : runsMax);
    const found: UpcomingRun[] = [];
    const pauses = await pausesOf(context, application.name, jobs);
    // One without end has no next time, however long one looks.
    const going = jobs.filter(({ id }) => pauses.get(id) !== Infinity);
    for (const run of upcomingRuns(going, after, pauses)) {
      if (run.timeMs > until || found.length > countMax) break;
      found.push(run);
    }
    const waiting = jobs.flatMap((job) =>
      job.schedules.filter((each) => !isClockSchedule(each)).map((schedule) => scheduledJob(job, schedule)),
    );
    // What maintenance holds back comes later than it was found; what has no end comes last.
    const runs = found
      .slice(0, countMax)
      .toSorted((left, right) => (left.beginsMs ?? Infinity) - (right.beginsMs ?? Infinity) || 0);
    return {
      runs: runs.map(scheduledRun),
      isCut: found.length > countMax,
      waiting,
      paused: [...pauses].map(pausedJob),
    };
  },
  render: renderSchedule,
});

function pausedJob([job, untilMs]: readonly [string, number]): PausedJob {
  return { job, isPaused: true, pausedUntil: untilMs === Infinity ? undefined : isoTime(untilMs) };
}

function scheduledJob(job: Job, schedule: Schedule): ScheduledJob {
  const ofRepository = 'repository' in job;
  return {
    job: job.id,
    kind: job.kind,
    components: ofRepository ? job.components : [job.component],
    repositories: ofRepository ? [job.repository] : job.kind === 'copy' ? [job.to] : job.repositories,
    ...(job.kind === 'copy' && { from: job.from }),
    schedule: describeSchedule(schedule),
  };
}

function scheduledRun({ job, schedule, timeMs, beginsMs }: UpcomingRun): ScheduledRun {
  const timeZone = zoneOf(schedule) ?? Temporal.Now.timeZoneId();
  const shown = (ms: number): string =>
    Temporal.Instant.fromEpochMilliseconds(ms)
      .toZonedDateTimeISO(timeZone)
      .toString({ smallestUnit: 'second', timeZoneName: 'never' });
  return {
    time: shown(timeMs),
    begins: beginsMs === undefined ? undefined : shown(beginsMs),
    timeZone,
    ...scheduledJob(job, schedule),
  };
}

function zoneOf(schedule: Schedule): string | undefined {
  if (schedule.kind === 'cron') return schedule.timeZone;
  return schedule.kind === 'window' ? schedule.window.timeZone : undefined;
}

function renderSchedule({ runs, isCut, waiting, paused }: ScheduleData, style: Style): string {
  if (runs.length === 0 && waiting.length === 0 && paused.length === 0) {
    return "nothing is scheduled; give a policy a schedule, such as { cron: '0 2 * * *' }";
  }
  const parts: string[] = [];
  const what = [
    { title: 'What', shrinksTo: 12 },
    { title: 'Where', shrinksTo: 8 },
    { title: 'Schedule', shrinksTo: 12 },
  ];
  if (runs.length > 0) {
    const rows = runs.map((run) => [whenWords(run, style), ...jobWords(run)]);
    parts.push(table([{ title: 'When' }, ...what], rows, style));
  }
  if (runs.some(({ time, begins }) => begins !== undefined && begins !== time)) {
    parts.push('* at the end of the maintenance of its component');
  }
  if (isCut) parts.push(`more than ${count(runs.length, 'run')}; --count shows more of them`);
  if (paused.length > 0) parts.push(paused.map((one) => pauseWords(one, style)).join('\n'));
  if (waiting.length > 0) {
    const columns = [...what.slice(0, 2), { title: 'Comes', shrinksTo: 12 }];
    parts.push(table(columns, waiting.map(jobWords), style));
  }
  return parts.join('\n\n');
}

function pauseWords({ job, pausedUntil }: PausedJob, style: Style): string {
  const until = pausedUntil === undefined ? `'lifeboat schedule resume ${job}'` : shortTime(pausedUntil, style);
  return `${job} is paused until ${until}`;
}

/** `Sun 2026-03-29 03:00 +02:00`: the offset tells the two hours apart that a night may have. */
function whenWords({ time, begins, timeZone }: ScheduledRun, style: Style): string {
  if (begins === undefined) return style.paint('red', 'never, for maintenance');
  const local = Temporal.PlainDateTime.from(begins);
  const weekday = local.toLocaleString('en', { weekday: 'short' });
  const offset = /(?:Z|[+-]\d\d:\d\d)$/.exec(begins)?.[0] ?? '';
  return `${weekday} ${shortTime(begins, { ...style, timeZone })} ${offset}${begins === time ? '' : '*'}`;
}

function jobWords({ kind, components, repositories, from, schedule }: ScheduledJob): string[] {
  const ofRepository = kind === 'verification' || kind === 'retention' || kind === 'self-backup';
  const place = from === undefined ? repositories.join(', ') : `${from} to ${repositories.join(', ')}`;
  return [ofRepository ? kind : `${kind} ${components.join(', ')}`, place, schedule];
}
