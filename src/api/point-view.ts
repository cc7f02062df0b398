// Recovery points as the API lists them: newest first, a page at a time, with what is known of each.
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { lineSchema } from '../access/schemas.ts';
import { byTime, recoveryPoints, type RecoveryPoint } from '../service/recovery-points.ts';
import { tenantsFor } from './chosen-tenant.ts';
import { pageFrom, pageQuery, placeIn } from './page.ts';
import type { ApiParts } from './parts.ts';

export const pointSchema = z
  .object({
    id: z.string().describe('of the snapshot: the backupId of restore and verify'),
    application: z.string(),
    component: z.string().optional(),
    type: z.string().optional().describe('of the component, as it is configured now'),
    repository: z.string(),
    time: z.string(),
    description: z.string().optional(),
    tags: z.array(z.string()),
    sizeBytes: z.number().optional(),
    storedBytes: z.number().optional(),
    isVerified: z.boolean().describe('a verification found everything intact'),
    proof: z
      .object({ outcome: z.enum(['passed', 'failed', 'inconclusive']), time: z.string() })
      .optional()
      .describe('the newest: whether it was really restored, and compared'),
  })
  .meta({ id: 'RecoveryPoint' });

export const pointPageSchema = z.object({
  items: z.array(pointSchema),
  nextCursor: z.string().optional(),
  unread: z
    .array(z.object({ application: z.string(), repository: z.string(), problem: z.string() }))
    .describe('repositories that could not be read: there may be more'),
});

const line = lineSchema(200).optional();
const time = z.iso.datetime().optional();

export const pointQuery = z.object({
  ...pageQuery,
  application: line,
  component: line,
  repository: line,
  since: time,
  until: time,
});

const placeSchema = z.tuple([z.number(), z.string(), z.string()]);

export async function pointPage(
  parts: ApiParts,
  request: FastifyRequest,
  query: z.infer<typeof pointQuery>,
): Promise<z.infer<typeof pointPageSchema>> {
  const { limit, cursor, application: name, component, repository, since, until } = query;
  const place = placeIn(cursor, placeSchema);
  const tenants = tenantsFor(parts, request, { action: 'read', name });
  const { points, unread } = await recoveryPoints(parts.service.answers, tenants);
  const types = new Map(
    tenants.flatMap(({ application }) =>
      application.components.map((one) => [`${application.name}/${one.name}`, one.type] as const),
    ),
  );
  const [sinceMs, untilMs] = [Date.parse(since ?? ''), Date.parse(until ?? '')];
  const fitting = points.filter(
    (point) =>
      (component === undefined || point.component === component) &&
      (repository === undefined || point.repository === repository) &&
      !(point.timeMs < sinceMs || point.timeMs >= untilMs) &&
      (place === undefined || isBehind(point, place)),
  );
  const page = pageFrom(fitting.slice(0, limit + 1), limit, {
    view: (point) => pointView(point, types.get(`${point.application}/${point.component ?? ''}`)),
    place: ({ timeMs, id, repository: at }) => [timeMs, id, at],
  });
  return { ...page, unread: [...unread] };
}

const isBehind = (point: RecoveryPoint, [timeMs, id, repository]: z.infer<typeof placeSchema>): boolean =>
  byTime({ timeMs, id, repository }, point) < 0;

function pointView(point: RecoveryPoint, type: string | undefined): z.infer<typeof pointSchema> {
  const { id, application, component, repository, time: at, description, tags, sizeBytes, storedBytes, proof } = point;
  const isVerified = point.verifications.length > 0;
  const sizes = { sizeBytes, storedBytes };
  return { id, application, component, type, repository, time: at, description, tags, ...sizes, isVerified, proof };
}
