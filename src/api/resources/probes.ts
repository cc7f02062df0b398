// `/api/v1/probes`: whether what is protected works, and how much of the time it did.
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { isoTime } from '../../base/iso-time.ts';
import { probeOutcomes } from '../../model/probe.ts';
import { probeAvailabilities, type ProbeAvailability } from '../../monitoring/availability.ts';
import { visibleApplications } from '../authorisation.ts';
import { defineRoute, principalOf } from '../route.ts';

const probeSchema = z
  .object({
    application: z.string(),
    probe: z.string(),
    component: z.string().optional(),
    state: z.enum(probeOutcomes),
    isFlapping: z.boolean(),
    message: z.string(),
    hint: z.string().optional(),
    since: z.string(),
    seenAt: z.string(),
    latencyMs: z.number().describe('of the last look'),
    latency95Ms: z.number().optional().describe('95 of 100 answers took at most so long'),
    lastDayPercent: z.number().optional().describe('of the looks of the last 24 hours it worked'),
    percent: z.number().optional().describe('of the looks of the last days it worked'),
    unknownPercent: z.number().describe('of the looks saw nothing'),
    looks: z.number(),
    outages: z.number().describe('of the last days that are over'),
    meanRecoveryMs: z.number().optional().describe('how long they took on average until it worked again'),
  })
  .meta({ id: 'Probe' });

function probeView({ state, ...numbers }: ProbeAvailability): z.infer<typeof probeSchema> {
  const { application, probe, component, outcome, isFlapping, message, hint, sinceMs, seenAtMs, latencyMs } = state;
  return {
    application,
    probe,
    component: component ?? undefined,
    state: outcome,
    isFlapping: isFlapping === 1,
    message,
    hint: hint ?? undefined,
    since: isoTime(sinceMs),
    seenAt: isoTime(seenAtMs),
    latencyMs,
    ...numbers,
  };
}

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/probes',
  summary: 'Show how all probes stand, and how much of the time everything worked',
  access: { kind: 'some', action: 'read' },
  query: z.object({
    application: lineSchema(200).optional(),
    days: z.coerce.number().int().min(1).max(400).default(30).describe('how far back'),
  }),
  answers: { 200: z.object({ items: z.array(probeSchema) }) },
  async handle({ parts, query: { application, days }, request }) {
    const applications = visibleApplications(principalOf(request), 'read', application);
    const items = await probeAvailabilities(parts.log.catalog, { applications, days });
    return { items: items.map(probeView) };
  },
});

export const probeRoutes = [list];
