// What is measured: for Prometheus as text, and for people and programs as JSON.
import { z } from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import { exposition, expositionType, type Family } from '../../monitoring/metrics/exposition.ts';
import { familiesOf } from '../../monitoring/metrics/families.ts';
import { measure, type Measured } from '../../monitoring/metrics/measured.ts';
import { visibleApplications } from '../authorisation.ts';
import type { ApiParts } from '../parts.ts';
import { defineRoute, principalOf } from '../route.ts';
import type { FastifyRequest } from 'fastify';

const action = 'metrics.read';

const prometheus = defineRoute({
  method: 'GET',
  path: '/metrics',
  summary: 'Return the metrics for Prometheus (text/plain)',
  access: { kind: 'some', action },
  answers: { 200: null },
  async handle({ parts, request, reply }) {
    const text = exposition(await families(parts, request));
    return reply.type(expositionType).send(text);
  },
});

const metricSchema = z
  .object({
    name: z.string(),
    help: z.string(),
    samples: z.array(z.object({ labels: z.record(z.string(), z.string()), value: z.number() })),
  })
  .meta({ id: 'Metric' });

const json = defineRoute({
  method: 'GET',
  path: '/api/v1/system/metrics',
  summary: 'Return the metrics as JSON',
  access: { kind: 'some', action },
  answers: { 200: z.object({ metrics: z.array(metricSchema) }) },
  async handle({ parts, request }) {
    const all = await families(parts, request);
    const metrics = all.filter(({ samples }) => samples.length > 0);
    return { metrics: metrics.map(({ name, help, samples }) => ({ name, help, samples: [...samples] })) };
  },
});

/** Of the applications that they may see; of the server itself for those who may see all. */
async function families({ log, version, service }: ApiParts, request: FastifyRequest): Promise<Family[]> {
  const measured = await measuredLately(log.catalog, visibleApplications(principalOf(request), action, undefined));
  return familiesOf(measured, { version, process: service.processSample() });
}

/** Counting takes a while that everybody else waits for: who asks in the same second gets the same numbers. */
const freshMs = 1000;
const keptMax = 50;
interface Kept {
  readonly atMs: number;
  readonly measured: Promise<Measured>;
}

const lately = new WeakMap<Catalog, Map<string, Kept>>();

function measuredLately(catalog: Catalog, applications: readonly string[] | undefined): Promise<Measured> {
  const kept = lately.get(catalog) ?? new Map<string, Kept>();
  lately.set(catalog, kept);
  const key = JSON.stringify(applications ?? null);
  const known = kept.get(key);
  if (known !== undefined && performance.now() - known.atMs < freshMs) return known.measured;
  if (kept.size >= keptMax) kept.clear();
  const measured = measure(catalog, applications);
  kept.set(key, { atMs: performance.now(), measured });
  measured.catch(() => kept.delete(key)); // Whoever asked hears of it; the next one asks anew.
  return measured;
}

export const metricsRoutes = [prometheus, json];
