// What comes next, over all jobs: each run with the schedule that brings it.
import type { Job } from './job.ts';
import { isClockSchedule, type Schedule } from './schedule.ts';
import { nextTimes } from './schedule-times.ts';
import { opensAt } from './time-window.ts';

export interface UpcomingRun {
  readonly job: Job;
  readonly schedule: Schedule;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Later than `timeMs` where maintenance holds it back; undefined where that has no end. */
  readonly beginsMs: number | undefined;
}

/** Runs after an instant in the order of their times; a run that several schedules bring comes once. Jobs may begin later, by their id. */
export function* upcomingRuns(
  jobs: readonly Job[],
  after: number,
  laterMs: ReadonlyMap<string, number> = new Map(),
): Generator<UpcomingRun, undefined> {
  const sources = jobs.flatMap((job) =>
    job.schedules.filter(isClockSchedule).map((schedule) => {
      const times = nextTimes(schedule, { after: Math.max(after, laterMs.get(job.id) ?? after), seed: job.seed });
      return { job, schedule, times, timeMs: times.next().value };
    }),
  );
  for (;;) {
    const timeMs = Math.min(...sources.map((source) => source.timeMs ?? Infinity));
    if (timeMs === Infinity) return;
    const seen = new Set<Job>();
    for (const source of sources) {
      if (source.timeMs !== timeMs) continue;
      source.timeMs = source.times.next().value;
      const { job, schedule } = source;
      if (seen.has(job)) continue;
      seen.add(job);
      yield { job, schedule, timeMs, beginsMs: opensAt(job.maintenance, timeMs) };
    }
  }
}
