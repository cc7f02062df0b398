// `/api/v1/workers`: who does the jobs, with which labels.
import { z } from 'zod';
import { isoTime } from '../../base/iso-time.ts';
import { labelsIn, liveWorkers } from '../../catalog/workers.ts';
import { defineRoute } from '../route.ts';

const workerSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    labels: z.array(z.string()),
    version: z.string(),
    startedAt: z.string(),
    seenAt: z.string(),
  })
  .meta({ id: 'Worker' });

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/workers',
  summary: 'List the workers that were heard of lately',
  access: { kind: 'server', action: 'read' },
  answers: { 200: z.object({ items: z.array(workerSchema) }) },
  async handle({ parts }) {
    const workers = await liveWorkers(parts.log.catalog);
    const items = workers.map(({ id, name, labels, version, startedAtMs, seenAtMs }) => ({
      id,
      name,
      labels: labelsIn(labels),
      version,
      startedAt: isoTime(startedAtMs),
      seenAt: isoTime(seenAtMs),
    }));
    return { items };
  },
});

export const workerRoutes = [list];
