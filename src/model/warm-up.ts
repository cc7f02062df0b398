// What fills caches again after they were lost: requests to the application, and programs. They are carried out as probes of these two
// types are, once and with more patience.
import { z } from 'zod';
import { durationSchema } from './scalar-schemas.ts';
import { dampingSchema, httpProbeSchema, scriptProbeSchema, withUnits, type ProbeOf } from './probe.ts';

const timeoutField = durationSchema.prefault('10m').describe('what takes longer has failed');
/** It is not looked again and again. */
const unused = { every: true, damping: true, component: true } as const;
const damping = dampingSchema.parse({});

const httpSchema = httpProbeSchema.omit({ ...unused, slow: true, timeout: true }).extend({
  type: z.literal('http').describe('a request to the application'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT']).default('POST').describe('method'),
  status: httpProbeSchema.shape.status.describe('statuses that mean success'),
  timeout: timeoutField,
});

const scriptSchema = scriptProbeSchema.omit({ ...unused, timeout: true }).extend({
  type: z.literal('script').describe('a program that ends with 0 when the cache is filled'),
  timeout: timeoutField,
});

export const warmUpSchema = z
  .discriminatedUnion('type', [httpSchema, scriptSchema])
  .transform(
    (own) =>
      withUnits({ ...own, every: own.timeout, slow: undefined, component: undefined, damping }) as WarmUpSettings,
  )
  .describe('one step that fills a cache');

export type WarmUpSettings = ProbeOf<'http'> | ProbeOf<'script'>;
