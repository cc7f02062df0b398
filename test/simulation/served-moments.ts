// Whether each moment of each schedule was dealt with once: by one run, or left out for a reason.
import type { z } from 'zod';
import type { RunRow } from '../../src/catalog/runs.ts';
import type { FiringTable } from '../../src/catalog/tables.ts';
import type { Job } from '../../src/model/job.ts';
import { timesBetween } from '../../src/model/schedule-times.ts';
import type { originSchema } from '../../src/service/job-runs.ts';
import { scheduleIdOf } from '../../src/service/scheduler.ts';
import type { World } from './servers-world.ts';
import { application } from './shop-of-files.ts';

/** What is wrong, in words. */
export type Wrong = string[];

export interface KnownRun {
  readonly row: RunRow;
  readonly job: string;
  readonly origin: z.output<typeof originSchema>;
}

export async function checkFirings(
  world: World,
  { runs, jobs }: { readonly runs: readonly KnownRun[]; readonly jobs: readonly Job[] },
  wrong: Wrong,
): Promise<void> {
  const firings = await world.catalog.db.selectFrom('firing').selectAll().orderBy('plannedAtMs').execute();
  const bySchedule = Map.groupBy(firings, ({ scheduleId }) => scheduleId);
  for (const job of jobs) {
    const own = bySchedule.get(scheduleIdOf(application, job.id)) ?? [];
    checkMoments(world, { job, own }, wrong);
    const ofJob = runs.filter((run) => run.job === job.id);
    wrong.push(...leftOut(own, ofJob).map((atMs) => `${job.id} left out ${atMs} for no reason`));
    world.counts.missedMoments += own.filter(({ runId }) => runId === null).length;
  }
  checkOrigins(firings, runs, wrong);
}

function checkMoments(
  { begunMs, counts }: World,
  { job, own }: { readonly job: Job; readonly own: readonly FiringTable[] },
  wrong: Wrong,
): void {
  const { id, schedules, seed } = job;
  const times = own.map(({ plannedAtMs }) => plannedAtMs);
  const [first] = times;
  const until = times.at(-1);
  if (first === undefined || until === undefined) {
    if (schedules.some(({ kind }) => kind === 'interval')) wrong.push(`${id} never came`);
    return;
  }
  if (first < begunMs) wrong.push(`${id} was begun for a moment before it was there`);
  const planned = timesBetween(schedules, { after: first - 1, until, seed, max: times.length + 1 });
  if (planned.join() !== times.join())
    wrong.push(`${id} was dealt with at ${times.join()} instead of ${planned.join()}`);
  counts.firings += times.length;
}

/** Between the look for a run that is at it and the note that a moment was left out, on a busy machine. */
const lookMs = 2000;

/** Moments that no newer one stood for, and at which no run was at it. */
function leftOut(own: readonly FiringTable[], ofJob: readonly KnownRun[]): number[] {
  const unreasoned = own.filter(
    ({ plannedAtMs, firedAtMs, runId }) =>
      runId === null &&
      !own.some((other) => other.firedAtMs <= firedAtMs && other.plannedAtMs > plannedAtMs) &&
      !ofJob.some(({ row }) => row.createdAtMs <= firedAtMs && (row.endedAtMs ?? Infinity) + lookMs >= firedAtMs),
  );
  return unreasoned.map(({ plannedAtMs }) => plannedAtMs);
}

function checkOrigins(firings: readonly FiringTable[], runs: readonly KnownRun[], wrong: Wrong): void {
  const byRun = new Map(firings.flatMap((firing) => (firing.runId === null ? [] : [[firing.runId, firing]])));
  for (const { row, job, origin } of runs) {
    if (origin.kind !== 'schedule') continue;
    const firing = byRun.get(row.id);
    if (firing?.plannedAtMs !== origin.plannedAtMs || firing.scheduleId !== origin.schedule)
      wrong.push(`${job}, run ${row.id}, came of no firing, or of another one`);
    byRun.delete(row.id);
  }
  for (const [id, { scheduleId }] of byRun) wrong.push(`run ${id}, which ${scheduleId} began, is lost`);
}
