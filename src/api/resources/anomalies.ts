// `/api/v1/anomalies`: backups that are unlike those before them, and the word of a person that one is as it should be.
import { z } from 'zod';
import { appendAudit } from '../../access/audit-log.ts';
import { lineSchema } from '../../access/schemas.ts';
import { tenantFor, tenantsFor } from '../chosen-tenant.ts';
import { actorOf, defineRoute } from '../route.ts';

const anomalySchema = z
  .object({
    application: z.string(),
    component: z.string(),
    repository: z.string(),
    snapshot: z.string(),
    time: z.string().describe('of the backup'),
    facts: z.array(z.object({ message: z.string() })),
    accepted: z.object({ time: z.string(), by: z.string() }).optional(),
  })
  .meta({ id: 'Anomaly' });

/** As `lifeboat anomalies list --json` says it. */
const listedSchema = z.object({ anomalies: z.array(anomalySchema.omit({ application: true })) });

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/anomalies',
  summary: 'List backups that are unlike those before them, as the repositories know them',
  access: { kind: 'some', action: 'read' },
  query: z.object({
    application: lineSchema(200).optional(),
    component: lineSchema(200).optional(),
    accepted: z.stringbool().default(false).describe('also those that were accepted'),
  }),
  answers: { 200: z.object({ items: z.array(anomalySchema) }) },
  async handle({ parts, query: { application: name, component, accepted }, request }) {
    const items: z.infer<typeof anomalySchema>[] = [];
    for (const tenant of tenantsFor(parts, request, { action: 'read', name })) {
      const args = ['anomalies', 'list', ...(accepted ? ['--all'] : [])];
      const { summary } = await parts.service.answers.ask(tenant, args);
      const { anomalies } = listedSchema.parse(summary);
      items.push(...anomalies.map((one) => ({ ...one, application: tenant.application.name })));
    }
    return { items: items.filter((one) => component === undefined || one.component === component) };
  },
});

const acceptedSchema = z.object({
  accepted: z.array(z.object({ snapshot: z.string(), component: z.string(), repository: z.string() })),
});

const accept = defineRoute({
  method: 'POST',
  path: '/api/v1/anomalies/accept',
  summary: 'Say that an odd backup is as it should be, so that old ones may go again',
  access: { kind: 'some', action: 'retention.release' },
  body: z.strictObject({
    application: lineSchema(200).optional().describe('may be left out where you may see but one'),
    snapshot: z.string().regex(/^[0-9a-f]{8,64}$/, 'expected an id of a snapshot, or its first 8 digits at least'),
  }),
  answers: { 200: acceptedSchema },
  async handle({ parts, body: { application: name, snapshot }, request }) {
    const tenant = tenantFor(parts, request, { action: 'retention.release', name });
    const actor = actorOf(request);
    const about = { target: snapshot, application: tenant.application.name };
    // What is accepted in one repository counts, whatever becomes of the others.
    await appendAudit(parts.log, { actor, action: 'anomaly.accepted', ...about });
    // In one word with its option: a name may begin with a dash.
    const args = ['anomalies', 'accept', snapshot, `--by=${actor.name}`];
    const { summary } = await parts.service.answers
      .ask(tenant, args)
      .finally(() => parts.service.answers.changed(tenant.application.name));
    return acceptedSchema.parse(summary);
  },
});

export const anomalyRoutes = [list, accept];
