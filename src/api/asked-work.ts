// Long work that a request asks for: runs are stored, workers told, and the answer is what they are (202).
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import { findRun, type NewRun } from '../catalog/runs.ts';
import { startRuns } from '../service/asked-runs.ts';
import type { RunOrigin } from '../service/job-runs.ts';
import type { ApiParts } from './parts.ts';
import { actorOf } from './route.ts';
import { runSchema, runView } from '../service/run-view.ts';

export const startedSchema = z.object({ runs: z.array(runSchema) }).meta({ id: 'StartedRuns' });

export const originOf = (request: FastifyRequest): RunOrigin => ({ kind: 'request', by: actorOf(request).name });

export const eventOrigin = (request: FastifyRequest, event: string): RunOrigin => ({
  kind: 'event',
  event,
  by: actorOf(request).name,
});

export async function startedRuns(
  parts: ApiParts,
  request: FastifyRequest,
  { runs, isApproved = false }: { readonly runs: readonly NewRun[]; readonly isApproved?: boolean },
): Promise<z.infer<typeof startedSchema>> {
  const actor = actorOf(request);
  const ids = await startRuns(parts.log, runs, { actor, approvedBy: isApproved ? actor.name : undefined });
  const views: z.infer<typeof runSchema>[] = [];
  for (const [at, id] of ids.entries()) {
    const [run, row] = [runs[at], await findRun(parts.log.catalog, id)];
    if (run !== undefined) await parts.service.offer(id, run);
    if (row !== undefined) views.push(runView(row));
  }
  return { runs: views };
}

export function notConfirmed(component: string): AppError {
  return new AppError('CONFIRMATION_NEEDED', `this replaces data of ${component}, and confirm says another name`, {
    hint: `Look at what would be replaced, and give confirm as ${component}.`,
  });
}
