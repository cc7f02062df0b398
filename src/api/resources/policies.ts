// `/api/v1/policies`: what is asked for each component.
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { retentionIn } from '../../model/policy.ts';
import { describeSchedule } from '../../model/schedule-words.ts';
import { tenantsFor } from '../chosen-tenant.ts';
import { componentPlace, configuredComponents, type ConfiguredComponent } from '../configured-component.ts';
import { behind, pageFrom, pageOf, pageQuery } from '../page.ts';
import { defineRoute } from '../route.ts';

const policySchema = z
  .object({
    application: z.string(),
    component: z.string(),
    schedules: z.array(z.string()),
    repositories: z.array(z.object({ name: z.string(), retention: z.record(z.string(), z.unknown()) })),
    copies: z.array(
      z.object({ from: z.string(), to: z.string(), schedules: z.array(z.string()), snapshots: z.string() }),
    ),
    verification: z.string().optional(),
    proofSchedules: z.array(z.string()),
  })
  .meta({ id: 'Policy' });

function policyOf({ application, component: { name, policy } }: ConfiguredComponent): z.infer<typeof policySchema> {
  const words = policy.schedules.map(describeSchedule);
  return {
    application,
    component: name,
    schedules: words,
    repositories: policy.targets.map(({ repository }) => ({
      name: repository,
      retention: { ...retentionIn(policy, repository) },
    })),
    copies: policy.copies.map(({ from, to, schedules, snapshots }) => ({
      from,
      to,
      schedules: schedules.map(describeSchedule),
      snapshots,
    })),
    verification: policy.verification?.level,
    proofSchedules: [policy.proof?.schedule ?? []].flat().map(describeSchedule),
  };
}

const policies = defineRoute({
  method: 'GET',
  path: '/api/v1/policies',
  summary: 'List the policy of each component: when, where to, how long, how proven',
  access: { kind: 'some', action: 'configuration.read' },
  query: z.object({ ...pageQuery, application: lineSchema(200).optional() }),
  answers: { 200: pageOf(policySchema) },
  handle({ parts, query: { limit, cursor, application: name }, request }) {
    const tenants = tenantsFor(parts, request, { action: 'configuration.read', name });
    const all = configuredComponents(tenants);
    const rows = behind(all, cursor, componentPlace).slice(0, limit + 1);
    return Promise.resolve(pageFrom(rows, limit, { view: policyOf, place: componentPlace }));
  },
});

export const policyRoutes = [policies];
