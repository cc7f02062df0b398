// Starts jobs when their time has come: each moment once, whoever else looks at the same clock; and after a rest what was missed is begun
// once, not as often as it was missed.
import { asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { hasOpenRun, type NewRun } from '../catalog/runs.ts';
import { countFirings, fire, knownSchedules, type ScheduleRow, type WantedSchedule } from '../catalog/schedules.ts';
import type { Application } from '../model/application.ts';
import { allJobsOf, jobsOf, type Job } from '../model/job.ts';
import { lastTime, nextTimes, timesBetween } from '../model/schedule-times.ts';
import { opensAt } from '../model/time-window.ts';
import { Repeating } from '../workflow/repeating.ts';
import { runOfJob } from './job-runs.ts';
import type { Tenant } from './tenant.ts';

export interface SchedulerParts {
  readonly catalog: Catalog;
  readonly tenants: () => readonly Tenant[];
  /** A run was stored. */
  readonly onStarted: (id: string, run: NewRun) => void;
  /** What kept one of them from being dealt with: it is tried again, and the others come first. */
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 1000;
/** Where something may change that nobody tells of. */
const relookMs = 10_000;
const troubleMs = 10_000;
/** So many moments that nobody dealt with are noted one by one. */
const missedNotedMax = 100;

export function startScheduler(parts: SchedulerParts): AsyncDisposable {
  const scheduler = new Scheduler(parts);
  return new Repeating({ everyMs: lookEveryMs, work: () => scheduler.look(), onProblem: parts.onProblem });
}

interface Planned {
  /** Of the schedule: application and job. */
  readonly id: string;
  readonly application: string;
  readonly job: Job;
  /** Of what it is configured by: another text is another schedule, which begins when it is first seen. */
  readonly spec: string;
}

interface Dealt {
  /** When to look at it again. */
  readonly atMs: number;
  /** All moments up to then were dealt with. */
  readonly upToMs: number;
}

export class Scheduler {
  readonly #parts: SchedulerParts;
  /** When each comes next; computed again when it came, or says something else. */
  readonly #next = new Map<string, Dealt & { readonly spec: string }>();

  readonly #plans = new WeakMap<Application, Planned[]>();

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  /** Deals with all moments up to now. */
  async look(): Promise<void> {
    const { catalog } = this.#parts;
    const nowMs = await catalog.nowMs();
    const due = this.#planned().filter(({ id, spec }) => {
      const next = this.#next.get(id);
      return next?.spec !== spec || next.atMs <= nowMs;
    });
    if (due.length === 0) return;
    const known = await knownSchedules(
      catalog,
      due.map((planned) => this.#wanted(planned)),
    );
    for (const planned of due) {
      const row = known.get(planned.id);
      if (row === undefined) continue;
      let dealt: Dealt = { atMs: nowMs + troubleMs, upToMs: row.firedUpToMs };
      try {
        dealt = await this.#dealWith(planned, row, nowMs);
      } catch (error) {
        this.#parts.onProblem(asError(error));
      }
      this.#next.set(planned.id, { spec: planned.spec, ...dealt });
    }
  }

  /**
   * Another server of the same state may be configured otherwise, for a moment or for good. Then each takes the schedule over from the other
   * again and again; it must not begin anew each time, or nothing would ever come of it.
   */
  #wanted({ id, spec }: Planned): WantedSchedule {
    const next = this.#next.get(id);
    return { id, spec, upToMs: next?.spec === spec ? next.upToMs : undefined };
  }

  async #dealWith(planned: Planned, row: ScheduleRow, nowMs: number): Promise<Dealt> {
    const { job } = planned;
    const { firedUpToMs } = row;
    const opensMs = opensAt(job.maintenance, nowMs);
    // Others work on the component: what comes now is dealt with when they have ended, or the configuration says less of it.
    if (opensMs !== nowMs) return { atMs: Math.min(opensMs ?? Infinity, nowMs + relookMs), upToMs: firedUpToMs };
    // What comes in a pause is left out. Whoever resumes it is not heard here.
    if (row.pausedAtMs !== null) return { atMs: nowMs + relookMs, upToMs: nowMs };
    await this.#deal(planned, firedUpToMs, nowMs);
    return { atMs: nextTimes(job.schedules, { after: nowMs, seed: job.seed }).next().value ?? Infinity, upToMs: nowMs };
  }

  #planned(): Planned[] {
    return this.#parts.tenants().flatMap(({ application }, index) => {
      let planned = this.#plans.get(application);
      // The state is that of all applications, and nobody else's affair than that of whoever runs the service.
      if (planned === undefined)
        this.#plans.set(application, (planned = planOf(application, index === 0 ? allJobsOf : jobsOf)));
      return planned;
    });
  }

  async #deal({ id, application, job }: Planned, baseMs: number, nowMs: number): Promise<void> {
    const { catalog, onStarted } = this.#parts;
    const { schedules, seed } = job;
    const moments = timesBetween(schedules, { after: baseMs, until: nowMs, seed, max: missedNotedMax });
    const isCut = moments.length === missedNotedMax;
    const plannedAtMs = isCut ? lastTime(schedules, { until: nowMs, seed }) : moments.at(-1);
    if (plannedAtMs === undefined) return;
    const missedMs = moments.filter((moment) => moment < plannedAtMs);
    const round = await countFirings(catalog, id);
    const origin = { kind: 'schedule', schedule: id, plannedAtMs, missed: missedMs.length } as const;
    const run = runOfJob({ application, job, round }, origin);
    // One that is still at it does what this moment is for.
    const isAtIt = await hasOpenRun(catalog, { application, kind: job.kind, job: job.id });
    const runId = await fire(catalog, { scheduleId: id, plannedAtMs, missedMs, run: isAtIt ? undefined : run });
    if (runId !== undefined) onStarted(runId, run);
  }
}

export const scheduleIdOf = (application: string, job: string): string => `${application}/${job}`;

function planOf(application: Application, jobs: (application: Application) => readonly Job[]): Planned[] {
  return jobs(application).map((job) => ({
    id: scheduleIdOf(application.name, job.id),
    application: application.name,
    job,
    spec: JSON.stringify(job.schedules),
  }));
}
