// `/api/v1/runs`: what is being done and what was done, step by step, and as it happens.
import { z } from 'zod';
import { everywhere, may } from '../../access/permissions.ts';
import { lineSchema } from '../../access/schemas.ts';
import { eventsOf } from '../../catalog/run-events.ts';
import { runHistory } from '../../catalog/run-history.ts';
import { findRun, type RunRow } from '../../catalog/runs.ts';
import { labelsIn } from '../../catalog/workers.ts';
import { stepsOf } from '../../catalog/steps.ts';
import { runStates } from '../../catalog/tables.ts';
import { jobsBefore, jobsOnDemand, noJobBefore, noSuchJob, type Job } from '../../model/job.ts';
import type { JobKind } from '../../model/schedule.ts';
import { approveRun, cancelAskedRun } from '../../service/asked-runs.ts';
import { runOfJob } from '../../service/job-runs.ts';
import { approvableComponent, nothingToApprove } from '../../service/restore-runs.ts';
import { eventSchema, eventView, isOpen, runSchema, runView, stepSchema, stepView } from '../../service/run-view.ts';
import { eventOrigin, notConfirmed, originOf, startedRuns, startedSchema } from '../asked-work.ts';
import { visibleApplications } from '../authorisation.ts';
import { tenantFor } from '../chosen-tenant.ts';
import type { News } from '../event-stream.ts';
import { pageFrom, pageOf, pageQuery, placeIn } from '../page.ts';
import type { ApiParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { actorOf, defineRoute, idParams, principalOf, type Found } from '../route.ts';

/** It goes by the name of the first application, and tells of the files of all: it belongs to the server. */
const kindOfServer = 'self-backup' satisfies JobKind;

async function find({ log }: ApiParts, { id }: z.infer<typeof idParams>): Promise<Found<RunRow> | undefined> {
  const run = await findRun(log.catalog, id);
  if (run === undefined) return undefined;
  const { application, kind } = run;
  return { applications: application === null || kind === kindOfServer ? [] : [application], value: run };
}

const filterTime = z.iso.datetime().optional();
const line = lineSchema(200).optional();
const placeSchema = z.tuple([z.number().int(), z.uuid()]);

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/runs',
  summary: 'List runs, newest first',
  access: { kind: 'some', action: 'read' },
  query: z.object({
    ...pageQuery,
    state: z.enum(runStates).optional(),
    kind: line,
    application: line,
    component: line,
    since: filterTime,
    until: filterTime,
  }),
  answers: { 200: pageOf(runSchema) },
  async handle({ parts, query, request }) {
    const { limit, cursor, application, since, until, state, ...filter } = query;
    const place = placeIn(cursor, placeSchema);
    const principal = principalOf(request);
    const rows = await runHistory(parts.log.catalog, {
      ...filter,
      exceptKind: may(principal, 'read', everywhere) ? undefined : kindOfServer,
      states: state && [state],
      applications: visibleApplications(principal, 'read', application),
      sinceMs: since === undefined ? undefined : Date.parse(since),
      untilMs: until === undefined ? undefined : Date.parse(until),
      after: place && { createdAtMs: place[0], id: place[1] },
      limit: limit + 1,
    });
    return pageFrom(rows, limit, { view: runView, place: ({ createdAtMs, id }) => [createdAtMs, id] });
  },
});

const eventsShownMax = 500;

const show = defineRoute({
  method: 'GET',
  path: '/api/v1/runs/{id}',
  summary: 'Show a run with its steps and its first events',
  params: idParams,
  access: { kind: 'resource', action: 'read', find },
  answers: { 200: runSchema.extend({ steps: z.array(stepSchema), events: z.array(eventSchema) }) },
  async handle({ parts: { log }, params, resource }) {
    const steps = await stepsOf(log.catalog, params.id);
    const events = await eventsOf(log.catalog, { runId: params.id, after: 0, limit: eventsShownMax });
    return { ...runView(resource), steps: steps.map(stepView), events: events.map(eventView) };
  },
});

const cancel = defineRoute({
  method: 'POST',
  path: '/api/v1/runs/{id}/cancel',
  summary: 'Cancel a run; one that a worker is at ends as soon as it hears of it',
  params: idParams,
  access: { kind: 'resource', action: 'run.cancel', find },
  answers: { 202: runSchema },
  async handle({ parts: { log }, params: { id }, request }) {
    const run = await cancelAskedRun(log, id, actorOf(request));
    if (run === undefined) throw notFound();
    return runView(run);
  },
});

const start = defineRoute({
  method: 'POST',
  path: '/api/v1/runs',
  summary: 'Do a job now, or what is to be done before an event, without waiting for its schedule',
  access: { kind: 'some', action: 'run.start' },
  body: z
    .strictObject({
      application: lineSchema(200).optional().describe('may be left out where you may see but one'),
      job: lineSchema(200)
        .optional()
        .describe('as GET /api/v1/schedules names it: backup/database, verification/local/data'),
      before: lineSchema(200).optional().describe('all jobs whose schedule says so, as `{ before: deployment }` does'),
      description: lineSchema(500).optional().describe('a note that stays with what is backed up'),
    })
    .refine(({ job, before }) => (job === undefined) !== (before === undefined), 'expected either job or before'),
  answers: { 202: startedSchema },
  async handle({ parts, body: { application: name, job, before: event, description }, request }) {
    const { application } = tenantFor(parts, request, { action: 'run.start', name });
    const round = await roundOf(parts);
    const origin = event === undefined ? originOf(request) : eventOrigin(request, event);
    const runs = wantedJobs(jobsOnDemand(application), { job, event }).map((one) =>
      runOfJob({ application: application.name, job: one, description, round }, origin),
    );
    return startedRuns(parts, request, { runs });
  },
});

function wantedJobs(
  jobs: readonly Job[],
  { job: id, event }: { readonly job: string | undefined; readonly event: string | undefined },
): Job[] {
  const wanted = event === undefined ? jobs.filter((job) => job.id === id) : jobsBefore(jobs, event);
  if (wanted.length > 0) return wanted;
  throw event === undefined ? noSuchJob(id ?? '', jobs) : noJobBefore(event);
}

/** Of what somebody asks for: another part each second, where a verification takes parts. */
const roundOf = async ({ log }: ApiParts): Promise<number> => Math.floor((await log.catalog.nowMs()) / 1000);

const approve = defineRoute({
  method: 'POST',
  path: '/api/v1/runs/{id}/approve',
  summary: 'Let a restore go on that would replace data',
  params: idParams,
  access: { kind: 'resource', action: 'restore.approve', find },
  body: z.strictObject({ confirm: lineSchema(200).describe('the name of the component whose data is replaced') }),
  answers: { 202: runSchema },
  async handle({ parts, params: { id }, body: { confirm }, resource, request }) {
    const component = approvableComponent(resource);
    if (component === undefined) throw nothingToApprove(id);
    if (component !== confirm) throw notConfirmed(component);
    const run = await approveRun(parts.log, id, actorOf(request));
    if (run === undefined) throw notFound();
    await parts.service.offer(id, { labels: labelsIn(run.labels), priority: run.priority });
    return runView(run);
  },
});

const batchMax = 500;

const follow = defineRoute({
  method: 'GET',
  path: '/api/v1/runs/{id}/events',
  summary: 'Follow the events of a run (text/event-stream); Last-Event-ID goes on behind one',
  params: idParams,
  access: { kind: 'resource', action: 'read', find },
  answers: { 200: null },
  async handle({ parts, params: { id }, request, reply }) {
    const { catalog } = parts.log;
    const last = request.headers['last-event-id'];
    let after = typeof last === 'string' && /^\d{1,9}$/.test(last) ? Number(last) : 0;
    let state: string | undefined;
    const next = async (): Promise<News> => {
      // First the run: what an ended one told is all there by then.
      const run = await findRun(catalog, id);
      const rows = await eventsOf(catalog, { runId: id, after, limit: batchMax });
      after = rows.at(-1)?.number ?? after;
      const hasMore = rows.length === batchMax;
      const events = rows.map((row) => ({ id: row.number, data: eventView(row) }));
      const isEnd = !hasMore && (run === undefined || !isOpen(run.state));
      const isNew = run !== undefined && run.state !== state && !hasMore;
      if (isNew) ({ state } = run);
      return { events: isNew ? [...events, { event: 'state', data: { state: run.state } }] : events, isEnd, hasMore };
    };
    await request.server.eventStreams.serve(parts, { request, reply }, next);
  },
});

export const runRoutes = [list, start, show, approve, cancel, follow];
