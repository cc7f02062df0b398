// `/api/v1/audit`: who did what, newest first. Entries of an application are for its administrators, those of none for those of all.
import { z } from 'zod';
import { applicationsFor, everywhere } from '../../access/permissions.ts';
import { lineSchema } from '../../access/schemas.ts';
import { auditView } from '../../access/views.ts';
import { auditEntries } from '../../catalog/audit-entries.ts';
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
    const visible = applicationsFor(principalOf(request), action);
    const rows = await auditEntries(parts.log.catalog, {
      ...filter,
      applications: wanted(visible, application),
      sinceMs: since === undefined ? undefined : Date.parse(since),
      untilMs: until === undefined ? undefined : Date.parse(until),
      beforeNumber: placeIn(cursor, z.number().int().min(0)),
      limit: limit + 1,
    });
    return pageFrom(rows, limit, { view: auditView, place: ({ number }) => number });
  },
});

/** What was asked for, of what may be seen. */
export function wanted(
  visible: readonly string[] | typeof everywhere,
  application: string | undefined,
): readonly string[] | undefined {
  if (application === undefined) return visible === everywhere ? undefined : visible;
  return visible === everywhere || visible.includes(application) ? [application] : [];
}

export const auditRoutes = [list];
