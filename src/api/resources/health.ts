// `/health`: whether it answers, for whoever asks.
import { z } from 'zod';
import { defineRoute } from '../route.ts';

const health = defineRoute({
  method: 'GET',
  path: '/health',
  summary: 'Say whether the server is up',
  access: { kind: 'public' },
  answers: { 200: z.object({ status: z.enum(['ok', 'starting']), version: z.string() }) },
  handle: ({ parts }) => Promise.resolve({ status: parts.health(), version: parts.version }),
});

export const healthRoutes = [health];
