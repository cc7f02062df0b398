// Sentinels: rows that say when they were written. The newest one that comes back measures what a recovery lost, where the server's
// own clocks and logs could only tell what ought to be there.
import { z } from 'zod';
import { formatAge } from '../base/duration.ts';
import { durationSchema } from './scalar-schemas.ts';

const intervalMsDefault = 10_000;

export const sentinelSettingsSchema = z
  .union([
    z.boolean(),
    z.strictObject({
      interval: durationSchema.optional().describe('how often a row is written; 10s if absent'),
      database: z
        .string()
        .min(1)
        .optional()
        .describe('database in which the table lies; the first of the component, or postgres, if absent'),
    }),
  ])
  .transform((given): SentinelSettings | undefined => {
    if (given === false) return undefined;
    const { interval = intervalMsDefault, database } = given === true ? {} : given;
    return { intervalMs: interval, database };
  })
  .meta({ title: 'true, or its settings' })
  .describe(
    '`lifeboat journal run` writes a row with the time into table lifeboat.sentinel, by which recoveries measure what they lost; needs a role that may',
  );

export interface SentinelSettings {
  readonly intervalMs: number;
  readonly database: string | undefined;
}

/** What the newest sentinel of a recovered copy tells. */
export interface SentinelMeasure {
  /** RFC 3339, by the server's clock. */
  readonly writtenAt: string;
  /** The instant to which it was recovered, or now. */
  readonly instant: string;
  readonly measuredRpoSeconds: number;
}

/** Clocks of two machines may differ by a little: nothing is lost backwards. */
export function measureBy(writtenMs: number, instantMs: number): SentinelMeasure {
  return {
    writtenAt: new Date(writtenMs).toISOString(),
    instant: new Date(instantMs).toISOString(),
    measuredRpoSeconds: Math.max(0, instantMs - writtenMs) / 1000,
  };
}

/** `measured RPO 7.2 s: the newest sentinel was written at …, so long before now`. */
export function measureWords({ writtenAt, measuredRpoSeconds: seconds }: SentinelMeasure, before: string): string {
  const age = seconds < 60 ? `${seconds.toFixed(1)} s` : formatAge(seconds * 1000);
  return `measured RPO ${age}: the newest sentinel was written at ${writtenAt}, so long before ${before}`;
}
