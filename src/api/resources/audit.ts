// `/api/v1/audit`: who did what, newest first. Entries of an application are for its administrators, those of none for those of all.
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { auditView } from '../../access/views.ts';
import { auditEntries } from '../../catalog/audit-entries.ts';
import { visibleApplications } from '../authorisation.ts';
import { pageFrom, pageOf, pageQuery, placeIn } from '../page.ts';
import { defineRoute, principalOf } from '../route.ts';

const action = 'audit.read';

const entrySchema = z
  .object({
    number: z.number(),
    at: z.string(),
    actor: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
    address: z.string().optional(),
    action: z.string(),
    outcome: z.string(),
    application: z.string().optional(),
    target: z.string().optional(),
    details: z.record(z.string(), z.unknown()),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' });

const time = z.iso.datetime().optional();
const line = lineSchema(200).optional();

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/audit',
  summary: 'List who did what, newest first',
  access: { kind: 'some', action },
  query: z.object({
    ...pageQuery,
    actor: line,
    action: line,
    target: line,
    application: line,
    since: time,
    until: time,
  }),
  answers: { 200: pageOf(entrySchema) },
  async handle({ parts, query, request }) {
    const { limit, cursor, application, since, until, ...filter } = query;
    const rows = await auditEntries(parts.log.catalog, {
      ...filter,
      applications: visibleApplications(principalOf(request), action, application),
      sinceMs: since === undefined ? undefined : Date.parse(since),
      untilMs: until === undefined ? undefined : Date.parse(until),
      beforeNumber: placeIn(cursor, z.number().int().min(0)),
      limit: limit + 1,
    });
    return pageFrom(rows, limit, { view: auditView, place: ({ number }) => number });
  },
});

export const auditRoutes = [list];
