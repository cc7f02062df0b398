// Which jobs are paused, and until when, as far as there is a catalog that knows.
import { existsSync } from 'node:fs';
import { allSchedules } from '../catalog/schedules.ts';
import type { Job } from '../model/job.ts';
import { scheduleIdOf } from '../service/scheduler.ts';
import type { CommandContext } from './context.ts';

/** By the id of the job: when it goes on; Infinity where somebody must resume it. */
export async function pausesOf(
  context: Pick<CommandContext, 'catalogLocation' | 'openCatalog'>,
  application: string,
  jobs: readonly Job[],
): Promise<ReadonlyMap<string, number>> {
  const { path, url } = context.catalogLocation;
  // Whoever looks at a schedule before the first server must not leave a catalog behind.
  if (url === undefined && !existsSync(path)) return new Map();
  await using catalog = await context.openCatalog();
  const nowMs = await catalog.nowMs();
  const idOf = new Map(jobs.map(({ id }) => [scheduleIdOf(application, id), id]));
  const pauses = new Map<string, number>();
  for (const { id, pausedAtMs, pausedUntilMs } of await allSchedules(catalog, [...idOf.keys()])) {
    const job = idOf.get(id);
    const untilMs = pausedUntilMs ?? Infinity;
    if (job !== undefined && pausedAtMs !== null && untilMs > nowMs) pauses.set(job, untilMs);
  }
  return pauses;
}
