// When something runs unattended: cron text in a time zone, or an interval.
import { z } from 'zod';
import { durationSchema, timeZoneSchema } from './scalar-schemas.ts';

export type Schedule =
  | { readonly kind: 'cron'; readonly cron: string; readonly timeZone: string | undefined }
  | { readonly kind: 'interval'; readonly everyMs: number };

const cronForm = "five cron fields such as '0 2 * * *' (minute hour day month weekday)";

/** Lowest and highest number of each field. */
const fieldLimits = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** Catches what is plainly no cron text; whether such a moment ever comes is for the scheduler to say. */
function isCronText(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  return fields.length === fieldLimits.length && fields.every((field, index) => isCronField(field, fieldLimits[index]));
}

function isCronField(field: string, limits: readonly [number, number] | undefined): boolean {
  if (!/^(?:[\d*,\-/?]|[A-Za-z]{3}|#|L|W)+$/.test(field)) return false;
  const [lowest, highest] = limits ?? [0, 0];
  // A step (`*/15`) or an ordinal (`MON#2`) is no moment, so it has other limits.
  const numbers = field.replaceAll(/[/#]\d+/g, '').match(/\d+/g) ?? [];
  return numbers.every((number) => Number(number) >= lowest && Number(number) <= highest);
}

export const cronSchema = z.string().refine(isCronText, `expected ${cronForm}`).meta({ title: cronForm });

export const scheduleSchema = z
  .union([
    z
      .strictObject({
        cron: cronSchema.describe('minute, hour, day of month, month and weekday'),
        timeZone: timeZoneSchema.optional().describe('zone of the hours; that of the machine if absent'),
      })
      .transform(({ cron, timeZone }): Schedule => ({ kind: 'cron', cron, timeZone })),
    z
      .strictObject({ every: durationSchema.describe('interval between two runs') })
      .transform(({ every }): Schedule => ({ kind: 'interval', everyMs: every })),
  ])
  .meta({ title: 'a schedule: cron with an optional timeZone, or every' });
