// `/api/v1/repositories` and `/api/v1/recovery-points`: where backups live, and what there is to restore.
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { maybeIsoTime } from '../../base/iso-time.ts';
import { seenRepositories } from '../../catalog/sightings.ts';
import { outlives, scenarios } from '../../model/scenario.ts';
import { tenantsFor } from '../chosen-tenant.ts';
import { pointPage, pointPageSchema, pointQuery } from '../point-view.ts';
import { defineRoute } from '../route.ts';

const repositorySchema = z
  .object({
    application: z.string(),
    name: z.string(),
    location: z.string(),
    outlives: z.array(z.enum(scenarios)).describe('disasters in which it is still there'),
    snapshots: z.number().optional(),
    storedBytes: z.number().optional().describe('what its snapshots added, compressed'),
    problem: z.string().optional().describe('why it could not be read when it was last looked at'),
    seenAt: z.string().optional(),
  })
  .meta({ id: 'Repository' });

const repositories = defineRoute({
  method: 'GET',
  path: '/api/v1/repositories',
  summary: 'List repositories, and what was last seen of each',
  access: { kind: 'some', action: 'read' },
  query: z.object({ application: lineSchema(200).optional() }),
  answers: { 200: z.object({ items: z.array(repositorySchema) }) },
  async handle({ parts, query: { application: name }, request }) {
    const tenants = tenantsFor(parts, request, { action: 'read', name });
    const rows = await seenRepositories(
      parts.log.catalog,
      tenants.map(({ application }) => application.name),
    );
    const items = tenants.flatMap(({ application }) =>
      application.repositories.map((settings) => {
        const { name: repository, location } = settings;
        const row = rows.find((one) => one.application === application.name && one.repository === repository);
        return {
          application: application.name,
          name: repository,
          location,
          outlives: scenarios.filter((scenario) => outlives(settings, scenario)),
          snapshots: row?.snapshots ?? undefined,
          storedBytes: row?.storedBytes ?? undefined,
          problem: row?.problem ?? undefined,
          seenAt: maybeIsoTime(row?.seenAtMs),
        };
      }),
    );
    return { items };
  },
});

const points = defineRoute({
  method: 'GET',
  path: '/api/v1/recovery-points',
  summary: 'List what there is to restore, newest first, as the repositories hold it now',
  access: { kind: 'some', action: 'read' },
  query: pointQuery,
  answers: { 200: pointPageSchema },
  handle: ({ parts, query: wanted, request }) => pointPage(parts, request, wanted),
});

export const repositoryRoutes = [repositories, points];
