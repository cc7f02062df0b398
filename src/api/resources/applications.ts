// `/api/v1/applications` and what belongs to them: components, with how they stand and why.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { isoTime, maybeIsoTime } from '../../base/iso-time.ts';
import { seenProofs } from '../../catalog/sightings.ts';
import { standingSamples, standingsOf, type StandingRow } from '../../catalog/standings.ts';
import type { Component } from '../../model/component.ts';
import { standingNow, standings } from '../../model/standing.ts';
import { tenantsFor } from '../chosen-tenant.ts';
import { componentPlace, configuredComponents, type ConfiguredComponent } from '../configured-component.ts';
import { behind, pageFrom, pageOf, pageQuery, type ConfiguredPlace } from '../page.ts';
import type { ApiParts } from '../parts.ts';
import { defineRoute, type AnyRoute, type Found } from '../route.ts';

const read = 'read';

const applicationSchema = z
  .object({
    name: z.string(),
    environment: z.string(),
    components: z.array(z.string()),
    repositories: z.array(z.string()),
    problem: z.string().optional().describe('why its configuration can not be read anew'),
  })
  .meta({ id: 'Application' });

const applications = defineRoute({
  method: 'GET',
  path: '/api/v1/applications',
  summary: 'List the applications that are protected',
  access: { kind: 'some', action: read },
  answers: { 200: z.object({ items: z.array(applicationSchema) }) },
  handle({ parts, request }) {
    const items = tenantsFor(parts, request, { action: read }).map(({ application, problem }) => ({
      name: application.name,
      environment: application.environment,
      components: application.components.map(({ name }) => name),
      repositories: application.repositories.map(({ name }) => name),
      problem: problem?.message,
    }));
    return Promise.resolve({ items });
  },
});

const standingSchema = z.enum(standings);
const componentSchema = z
  .object({
    application: z.string(),
    name: z.string(),
    type: z.string(),
    tier: z.string(),
    labels: z.array(z.string()),
    rpoMs: z.number().optional(),
    rtoMs: z.number().optional(),
    availabilityPercent: z.number().optional(),
    standing: standingSchema,
    reason: z.string(),
    hint: z.string().optional(),
    since: z.string().optional(),
    seenAt: z.string().optional(),
    newestAt: z.string().optional().describe('of the newest data that could be recovered when it was looked at'),
    restore: z
      .object({
        tookMs: z.number().describe('to bring it back and compare it, as the newest proof did'),
        at: z.string(),
        expectedMs: z
          .tuple([z.number(), z.number()])
          .optional()
          .describe('at least and at most, with the data of today'),
      })
      .optional(),
    proof: z.object({ outcome: z.string(), at: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: 'Component' });
type ComponentView = z.infer<typeof componentSchema>;

async function componentViews(
  { log }: ApiParts,
  configured: readonly ConfiguredComponent[],
): Promise<readonly ComponentView[]> {
  const owners = [...new Set(configured.map(({ application }) => application))];
  const names = configured.map(({ component }) => component.name);
  const nowMs = await log.catalog.nowMs();
  const rows = byName(await standingsOf(log.catalog, owners, names));
  const proofs = byName(await seenProofs(log.catalog, owners, names));
  return configured.map(({ application, component }): ComponentView => {
    const name = `${application}/${component.name}`;
    const [row, proof] = [rows.get(name), proofs.get(name)];
    const stands = row === undefined ? neverSeen : standingNow(row, nowMs);
    return {
      application,
      ...settingsOf(component),
      ...stands,
      since: maybeIsoTime(row?.sinceMs),
      seenAt: maybeIsoTime(row?.seenAtMs),
      newestAt: row === undefined || row.ageMs === null ? undefined : isoTime(row.seenAtMs - row.ageMs),
      restore: row && restoreOf(row),
      proof: proof && { outcome: proof.outcome, at: isoTime(proof.atMs), message: proof.message },
    };
  });
}

function restoreOf({ restoreMs, restoreAtMs, restoreLowMs, restoreHighMs }: StandingRow): ComponentView['restore'] {
  if (restoreMs === null || restoreAtMs === null) return undefined;
  const isForecast = restoreLowMs !== null && restoreHighMs !== null;
  return {
    tookMs: restoreMs,
    at: isoTime(restoreAtMs),
    expectedMs: isForecast ? [restoreLowMs, restoreHighMs] : undefined,
  };
}

const byName = <Row extends { readonly application: string; readonly component: string }>(rows: readonly Row[]) =>
  new Map(rows.map((row) => [`${row.application}/${row.component}`, row]));

const neverSeen = {
  standing: 'unknown',
  reason: 'nobody has looked yet',
  hint: "See that 'lifeboat server' runs.",
} as const;

function settingsOf({ name, type, tier, labels, objectives }: Component) {
  const { rpoMs, rtoMs, availabilityPercent } = objectives ?? {};
  return { name, type, tier, labels, rpoMs, rtoMs, availabilityPercent };
}

const components = defineRoute({
  method: 'GET',
  path: '/api/v1/components',
  summary: 'List components, how each stands, and why',
  access: { kind: 'some', action: read },
  query: z.object({ ...pageQuery, application: lineSchema(200).optional(), standing: standingSchema.optional() }),
  answers: { 200: pageOf(componentSchema) },
  async handle({ parts, query: { limit, cursor, application: name, standing }, request }) {
    const all = configuredComponents(tenantsFor(parts, request, { action: read, name }));
    const rest = behind(all, cursor, componentPlace);
    // How one stands is known only when it was looked up.
    const views = await componentViews(parts, standing === undefined ? rest.slice(0, limit + 1) : rest);
    const fitting = views.filter((view) => standing === undefined || view.standing === standing);
    const shape = { view: (view: ComponentView) => view, place: placeOfView };
    return pageFrom(fitting.slice(0, limit + 1), limit, shape);
  },
});

const placeOfView = ({ application, name }: ComponentView): ConfiguredPlace => [application, name];

const componentParams = z.object({ application: lineSchema(100), component: lineSchema(100) });
const sampleMaxMs = 31 * 86_400_000;

const component = defineRoute({
  method: 'GET',
  path: '/api/v1/applications/{application}/components/{component}',
  summary: 'Show a component, and how it stood over time (the last day, if not told)',
  params: componentParams,
  query: z.object({ since: z.iso.datetime().optional().describe('31 days ago at most') }),
  access: {
    kind: 'resource',
    action: read,
    find(
      { service }: ApiParts,
      wanted: z.infer<typeof componentParams>,
    ): Promise<Found<ConfiguredComponent> | undefined> {
      const value = configuredComponents(service.tenants()).find(
        ({ application, component: { name } }) => application === wanted.application && name === wanted.component,
      );
      return Promise.resolve(value && { applications: [value.application], value });
    },
  },
  answers: {
    200: componentSchema.extend({
      samples: z.array(
        z.object({
          at: z.string(),
          standing: z.string(),
          ageMs: z.number().optional(),
          restoreMs: z.number().optional(),
        }),
      ),
    }),
  },
  async handle({ parts, params, query: { since }, resource }) {
    const { catalog } = parts.log;
    const nowMs = await catalog.nowMs();
    const sinceMs = Math.max(nowMs - sampleMaxMs, since === undefined ? nowMs - 86_400_000 : Date.parse(since));
    const [view] = await componentViews(parts, [resource]);
    assert.ok(view);
    const samples = await standingSamples(catalog, { ...params, sinceMs });
    return {
      ...view,
      samples: samples.map(({ atMs, standing, ageMs, restoreMs }) => ({
        at: isoTime(atMs),
        standing,
        ageMs: ageMs ?? undefined,
        restoreMs: restoreMs ?? undefined,
      })),
    };
  },
});

export const applicationRoutes: readonly AnyRoute[] = [applications, components, component];
