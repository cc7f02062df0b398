// What is measured: for Prometheus as text, and for people and programs as JSON.
import { z } from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import { exposition, expositionType, type Family } from '../../monitoring/metrics/exposition.ts';
import { familiesOf } from '../../monitoring/metrics/families.ts';
import { measure } from '../../monitoring/metrics/measured.ts';
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
    const { text } = await countedLately(parts, request);
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
    const { families } = await countedLately(parts, request);
    const metrics = families.filter(({ samples }) => samples.length > 0);
    return { metrics: metrics.map(({ name, help, samples }) => ({ name, help, samples: [...samples] })) };
  },
});

interface Counted {
  readonly families: readonly Family[];
  readonly text: Buffer;
}

/** Undefined for all, and the server itself. */
type Visible = readonly string[] | undefined;

async function count({ log, version, service }: ApiParts, applications: Visible): Promise<Counted> {
  const measured = await measure(log.catalog, applications);
  const families = familiesOf(measured, { version, process: service.processSample() });
  return { families, text: Buffer.from(exposition(families)) };
}

/** Counting takes a while that everybody else waits for: who may see the same, and asks in the same second, gets the same numbers. */
const freshMs = 1000;
const keptMax = 50;
interface Kept {
  readonly atMs: number;
  readonly counted: Promise<Counted>;
}

const lately = new WeakMap<Catalog, Map<string, Kept>>();

function countedLately(parts: ApiParts, request: FastifyRequest): Promise<Counted> {
  const { catalog } = parts.log;
  const applications = visibleApplications(principalOf(request), action, undefined);
  const kept = lately.get(catalog) ?? new Map<string, Kept>();
  lately.set(catalog, kept);
  const atMs = performance.now();
  const key = JSON.stringify(applications ?? null);
  const known = kept.get(key);
  if (known !== undefined && atMs - known.atMs < freshMs) return known.counted;
  for (const [other, { atMs: otherAtMs }] of kept) if (atMs - otherAtMs >= freshMs) kept.delete(other);
  if (kept.size >= keptMax) kept.clear();
  const counted = count(parts, applications);
  kept.set(key, { atMs, counted });
  counted.catch(() => kept.delete(key)); // Whoever asked hears of it; the next one asks anew.
  return counted;
}

export const metricsRoutes = [prometheus, json];
