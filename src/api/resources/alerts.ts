// `/api/v1/alerts` and `/api/v1/silences`: what is wrong, who was told, and what people do about it.
import { z } from 'zod';
import { may } from '../../access/permissions.ts';
import { lineSchema } from '../../access/schemas.ts';
import { isoTime, maybeIsoTime } from '../../base/iso-time.ts';
import { deliveriesOf, type AlertDeliveryRow } from '../../catalog/alert-deliveries.ts';
import { alertsById, listAlerts, type AlertRow } from '../../catalog/alerts.ts';
import { findSilence, silencesAt, type SilenceRow } from '../../catalog/silences.ts';
import { alertKinds, alertSeverities } from '../../model/alert-routing.ts';
import { durationSchema, nameSchema } from '../../model/scalar-schemas.ts';
import { factsOf } from '../../monitoring/alerts/messages.ts';
import { answerAlert, beginSilence, liftSilence } from '../../service/alert-answers.ts';
import { forbidden, visibleApplications } from '../authorisation.ts';
import { pageFrom, pageOf, pageQuery, placeIn } from '../page.ts';
import type { ApiParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { actorOf, defineRoute, idParams, principalOf, type Found } from '../route.ts';

const time = z.string().optional();

const alertSchema = z
  .object({
    id: z.string(),
    application: z.string(),
    component: z.string().optional(),
    subject: z.string().describe('what it is about, the same when it comes again: standing/database'),
    kind: z.enum([...alertKinds, 'report']),
    severity: z.enum(alertSeverities),
    state: z.enum(['pending', 'firing', 'acknowledged', 'resolved']),
    title: z.string(),
    facts: z.array(z.object({ name: z.string(), value: z.string(), objective: z.string().optional() })),
    hint: z.string().optional(),
    command: z.string().optional(),
    since: z.string(),
    acknowledgedAt: time,
    resolvedAt: time,
    by: z.string().optional().describe('who acknowledged or resolved it, if a person did'),
  })
  .meta({ id: 'Alert' });

const deliverySchema = z
  .object({
    channel: z.string(),
    contact: z.string().optional(),
    state: z.enum(['firing', 'acknowledged', 'resolved']),
    outcome: z.enum(['waiting', 'accepted', 'refused', 'dropped']),
    attempts: z.number(),
    reason: z.string().optional(),
    createdAt: z.string(),
    endedAt: time,
  })
  .meta({ id: 'AlertDelivery' });

function alertView(row: AlertRow): z.infer<typeof alertSchema> {
  const { id, application, subject, kind, severity, state, title } = row;
  return {
    id,
    application,
    component: row.component ?? undefined,
    subject,
    kind,
    severity,
    state,
    title,
    facts: factsOf(row),
    hint: row.hint ?? undefined,
    command: row.command ?? undefined,
    since: isoTime(row.sinceMs),
    acknowledgedAt: maybeIsoTime(row.acknowledgedAtMs),
    resolvedAt: maybeIsoTime(row.resolvedAtMs),
    by: row.byPerson ?? undefined,
  };
}

const deliveryView = (row: AlertDeliveryRow): z.infer<typeof deliverySchema> => ({
  channel: row.channel,
  contact: row.contact ?? undefined,
  state: row.state,
  outcome: row.outcome,
  attempts: row.attempts,
  reason: row.reason ?? undefined,
  createdAt: isoTime(row.createdAtMs),
  endedAt: maybeIsoTime(row.endedAtMs),
});

async function findAlert({ log }: ApiParts, { id }: z.infer<typeof idParams>): Promise<Found<AlertRow> | undefined> {
  const [alert] = await alertsById(log.catalog.db, [id]);
  return alert && { applications: [alert.application], value: alert };
}

const line = lineSchema(200).optional();
const placeSchema = z.tuple([z.number().int(), z.uuid()]);

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/alerts',
  summary: 'List what is wrong, newest first',
  access: { kind: 'some', action: 'read' },
  query: z.object({
    ...pageQuery,
    application: line,
    component: line,
    all: z.stringbool().default(false).describe('also what was resolved'),
  }),
  answers: { 200: pageOf(alertSchema) },
  async handle({ parts, query: { limit, cursor, application, component, all }, request }) {
    const place = placeIn(cursor, placeSchema);
    const rows = await listAlerts(parts.log.catalog, {
      applications: visibleApplications(principalOf(request), 'read', application),
      component,
      isOpen: !all,
      after: place && { sinceMs: place[0], id: place[1] },
      limit: limit + 1,
    });
    return pageFrom(rows, limit, { view: alertView, place: ({ sinceMs, id }) => [sinceMs, id] });
  },
});

const show = defineRoute({
  method: 'GET',
  path: '/api/v1/alerts/{id}',
  summary: 'Show an alert, and who was told of it',
  params: idParams,
  access: { kind: 'resource', action: 'read', find: findAlert },
  answers: { 200: alertSchema.extend({ deliveries: z.array(deliverySchema) }) },
  async handle({ parts, params, resource }) {
    const deliveries = await deliveriesOf(parts.log.catalog.db, [params.id]);
    return { ...alertView(resource), deliveries: deliveries.map(deliveryView) };
  },
});

const acknowledge = defineRoute({
  method: 'POST',
  path: '/api/v1/alerts/{id}/acknowledge',
  summary: 'Say that somebody takes care of an alert',
  params: idParams,
  access: { kind: 'resource', action: 'alert.acknowledge', find: findAlert },
  answers: { 200: alertSchema },
  async handle({ parts, params: { id }, request }) {
    return alertView(await answerAlert(parts.log, { id, state: 'acknowledged', actor: actorOf(request) }));
  },
});

const resolve = defineRoute({
  method: 'POST',
  path: '/api/v1/alerts/{id}/resolve',
  summary: 'Say that an alert is done with: nobody hears of it any more while it lasts',
  params: idParams,
  access: { kind: 'resource', action: 'alert.acknowledge', find: findAlert },
  answers: { 200: alertSchema },
  async handle({ parts, params: { id }, request }) {
    return alertView(await answerAlert(parts.log, { id, state: 'resolved', actor: actorOf(request) }));
  },
});

const silenceSchema = z
  .object({
    id: z.string(),
    application: z.string(),
    component: z.string().optional(),
    subject: z.string().optional(),
    until: z.string(),
    by: z.string(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Silence' });

const silenceView = (row: SilenceRow): z.infer<typeof silenceSchema> => ({
  id: row.id,
  application: row.application,
  component: row.component ?? undefined,
  subject: row.subject ?? undefined,
  until: isoTime(row.untilMs),
  by: row.byPerson,
  reason: row.reason ?? undefined,
});

const listSilences = defineRoute({
  method: 'GET',
  path: '/api/v1/silences',
  summary: 'List of what nobody is told at the moment',
  access: { kind: 'some', action: 'read' },
  query: z.object({ application: line }),
  answers: { 200: z.object({ items: z.array(silenceSchema) }) },
  async handle({ parts, query, request }) {
    const { catalog } = parts.log;
    const applications = visibleApplications(principalOf(request), 'read', query.application);
    const rows = await silencesAt(catalog.db, { nowMs: await catalog.nowMs() });
    const seen = rows.filter((row) => applications?.includes(row.application) ?? true);
    return { items: seen.map(silenceView) };
  },
});

const silence = defineRoute({
  method: 'POST',
  path: '/api/v1/silences',
  summary: 'Tell nobody for a while, of a component, of what an alert is about, or of an application',
  access: { kind: 'some', action: 'alert.silence' },
  body: z.strictObject({
    application: nameSchema,
    component: nameSchema.optional(),
    subject: lineSchema(200).optional().describe('that of an alert'),
    for: z.string().max(40).pipe(durationSchema).describe('how long, such as 2h'),
    reason: lineSchema(500).optional(),
  }),
  answers: { 201: silenceSchema },
  async handle({ parts: { log }, body, request }) {
    const { application, component = null, subject = null, reason = null, for: lastsMs } = body;
    if (!may(principalOf(request), 'alert.silence', application)) throw forbidden('alert.silence');
    const wish = { application, component, subject, reason, lastsMs };
    return silenceView(await beginSilence(log, wish, actorOf(request)));
  },
});

const unsilence = defineRoute({
  method: 'DELETE',
  path: '/api/v1/silences/{id}',
  summary: 'End a silence',
  params: idParams,
  access: {
    kind: 'resource',
    action: 'alert.silence',
    async find({ log }, { id }) {
      const found = await findSilence(log.catalog, id);
      return found && { applications: [found.application], value: found };
    },
  },
  answers: { 204: null },
  async handle({ parts, params, request, reply }) {
    const found = await findSilence(parts.log.catalog, params.id);
    if (found === undefined) throw notFound();
    await liftSilence(parts.log, found, actorOf(request));
    return reply.code(204).send();
  },
});

export const alertRoutes = [list, show, acknowledge, resolve, listSilences, silence, unsilence];
