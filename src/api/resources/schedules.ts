// `/api/v1/schedules`: what runs by itself, when next, and a pause where that is wanted.
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { AppError } from '../../base/errors.ts';
import { isoTime, maybeIsoTime } from '../../base/iso-time.ts';
import { allSchedules, type KnownSchedule } from '../../catalog/schedules.ts';
import { jobsOnDemand, type Job } from '../../model/job.ts';
import { KeptTimes } from '../../model/kept-times.ts';
import { jobKinds } from '../../model/schedule.ts';
import { describeSchedule } from '../../model/schedule-words.ts';
import { pauseAskedSchedule, resumeAskedSchedule } from '../../service/asked-schedules.ts';
import { scheduleIdOf } from '../../service/scheduler.ts';
import { tenantsFor } from '../chosen-tenant.ts';
import { behind, pageFrom, pageOf, pageQuery, type ConfiguredPlace } from '../page.ts';
import type { ApiParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { actorOf, defineRoute, type AnyRoute, type Found } from '../route.ts';

const nextShown = 3;

const scheduleSchema = z
  .object({
    application: z.string(),
    job: z.string(),
    kind: z.enum(jobKinds),
    schedules: z.array(z.string()).describe('in words; empty for what only people start'),
    next: z
      .array(z.string())
      .describe('when it comes next; empty where something else brings it, and in a pause without end'),
    isPaused: z.boolean(),
    pausedUntil: z.string().optional(),
  })
  .meta({ id: 'Schedule' });

interface ConfiguredJob {
  readonly application: string;
  readonly job: Job;
}

const keptTimes = new KeptTimes(nextShown);

const placeOf = ({ application, job }: ConfiguredJob): ConfiguredPlace => [application, job.id];
const idOf = ({ application, job }: ConfiguredJob): string => scheduleIdOf(application, job.id);

function viewOf(
  { application, job }: ConfiguredJob,
  known: KnownSchedule | undefined,
  nowMs: number,
): z.infer<typeof scheduleSchema> {
  const isPaused = known !== undefined && known.pausedAtMs !== null && (known.pausedUntilMs ?? Infinity) > nowMs;
  const untilMs = isPaused ? known.pausedUntilMs : null;
  const times = isPaused && untilMs === null ? [] : keptTimes.after(job, untilMs ?? nowMs);
  return {
    application,
    job: job.id,
    kind: job.kind,
    schedules: job.schedules.map(describeSchedule),
    next: times.map(isoTime),
    isPaused,
    pausedUntil: maybeIsoTime(untilMs),
  };
}

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/schedules',
  summary: 'List all jobs, with their schedules and when they come next',
  access: { kind: 'some', action: 'read' },
  query: z.object({ ...pageQuery, application: lineSchema(200).optional(), kind: z.enum(jobKinds).optional() }),
  answers: { 200: pageOf(scheduleSchema) },
  async handle({ parts, query: { limit, cursor, application: name, kind }, request }) {
    const { catalog } = parts.log;
    const nowMs = await catalog.nowMs();
    const all = tenantsFor(parts, request, { action: 'read', name }).flatMap(({ application }) =>
      jobsOnDemand(application).map((job): ConfiguredJob => ({ application: application.name, job })),
    );
    const rows = behind(all, cursor, placeOf)
      .filter(({ job }) => kind === undefined || job.kind === kind)
      .slice(0, limit + 1);
    const known = new Map((await allSchedules(catalog, rows.map(idOf))).map((row) => [row.id, row]));
    return pageFrom(rows, limit, { view: (row) => viewOf(row, known.get(idOf(row)), nowMs), place: placeOf });
  },
});

const params = z.object({
  application: lineSchema(100),
  job: lineSchema(200).describe('with its slashes encoded: backup%2Fdatabase'),
});

const access = {
  kind: 'resource',
  action: 'schedule.pause',
  find({ service }: ApiParts, wanted: z.infer<typeof params>): Promise<Found<Job> | undefined> {
    const tenant = service.tenants().find(({ application }) => application.name === wanted.application);
    const job = tenant && jobsOnDemand(tenant.application).find(({ id }) => id === wanted.job);
    return Promise.resolve(job && { applications: [wanted.application], value: job });
  },
} as const;

async function changed(
  parts: ApiParts,
  job: Job,
  { application, request, work }: { application: string; request: FastifyRequest; work: typeof resumeAskedSchedule },
): Promise<z.infer<typeof scheduleSchema>> {
  const { log } = parts;
  if (!(await work(log, { application, job: job.id, actor: actorOf(request) }))) throw notFound();
  const id = scheduleIdOf(application, job.id);
  const [known] = await allSchedules(log.catalog, [id]);
  return viewOf({ application, job }, known, await log.catalog.nowMs());
}

const pause = defineRoute({
  method: 'POST',
  path: '/api/v1/schedules/{application}/{job}/pause',
  summary: 'Pause a schedule, until a moment or until somebody resumes it; what comes meanwhile is left out',
  params,
  access,
  body: z.strictObject({ until: z.iso.datetime().optional() }),
  answers: { 200: scheduleSchema },
  async handle({ parts, params: { application }, body: { until }, resource, request }) {
    const untilMs = until === undefined ? undefined : Date.parse(until);
    if (untilMs !== undefined && untilMs <= (await parts.log.catalog.nowMs())) {
      throw new AppError('REQUEST_INVALID', 'until is in the past', { hint: 'Give a time to come, or leave it out.' });
    }
    return changed(parts, resource, {
      application,
      request,
      work: (log, asked) => pauseAskedSchedule(log, { ...asked, untilMs }),
    });
  },
});

const resume = defineRoute({
  method: 'POST',
  path: '/api/v1/schedules/{application}/{job}/resume',
  summary: 'Let a schedule go on from now',
  params,
  access,
  answers: { 200: scheduleSchema },
  handle: ({ parts, params: { application }, resource, request }) =>
    changed(parts, resource, { application, request, work: resumeAskedSchedule }),
});

export const scheduleRoutes: readonly AnyRoute[] = [list, pause, resume];
