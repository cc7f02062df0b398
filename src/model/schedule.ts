// When something runs unattended: by cron text or inside a window in a time zone, at an interval, after another job, or when
// somebody says that something is about to happen. `schedule-times.ts` has the arithmetic.
import { z } from 'zod';
import { cronForm, readCron } from './cron.ts';
import { durationSchema, nameSchema, timeZoneSchema } from './scalar-schemas.ts';
import { daysTwice, namesDaysOnce, windowFields, windowOf, type TimeWindow } from './time-window.ts';

/** What runs by itself for components. The names are those of the keys in a policy, but for `backup`. */
const componentJobKinds = ['backup', 'copy', 'retention', 'verification', 'proof'] as const;
/** And what the service does for itself. */
export const jobKinds = [...componentJobKinds, 'self-backup'] as const;
export type JobKind = (typeof jobKinds)[number];

/** Comes at moments that can be told beforehand. */
export type ClockSchedule =
  | {
      readonly kind: 'cron';
      readonly cron: string;
      readonly timeZone: string | undefined;
      readonly jitterMs?: number | undefined;
    }
  | { readonly kind: 'interval'; readonly everyMs: number }
  | { readonly kind: 'window'; readonly window: TimeWindow };

/** Comes when something else has happened, or is about to. */
export type EventSchedule =
  | {
      readonly kind: 'after';
      readonly job: JobKind;
      /** The own one if absent. */
      readonly component: string | undefined;
    }
  | { readonly kind: 'before'; readonly event: string };

export type Schedule = ClockSchedule | EventSchedule;

export function isClockSchedule(schedule: Schedule): schedule is ClockSchedule {
  return schedule.kind !== 'after' && schedule.kind !== 'before';
}

export const cronSchema = z
  .string()
  .transform((text, context) => {
    const read = readCron(text);
    if ('cron' in read) return read.cron;
    context.addIssue({ code: 'custom', message: read.problem });
    return z.NEVER;
  })
  .meta({ title: cronForm });

const everyMsMin = 1000;

const cronSchedule = z
  .strictObject({
    cron: cronSchema.describe('minute, hour, day of month, month and weekday'),
    timeZone: timeZoneSchema.optional().describe('zone of the hours; that of the machine if absent'),
    jitter: durationSchema
      .optional()
      .describe('run up to so much later, each component by its own part of it, always the same'),
  })
  .transform(({ cron, timeZone, jitter }): Schedule => ({ kind: 'cron', cron, timeZone, jitterMs: jitter }));

const intervalSchedule = z
  .strictObject({
    every: durationSchema
      .refine((ms) => ms >= everyMsMin, 'expected 1s or more')
      .describe('interval between two runs; each component has its own beginning, always the same'),
  })
  .transform(({ every }): Schedule => ({ kind: 'interval', everyMs: every }));

const windowSchedule = z
  .strictObject({
    window: windowFields.window.describe('a span in which it runs once; each component at its own moment'),
    days: windowFields.days,
    timeZone: windowFields.timeZone,
  })
  .refine(namesDaysOnce, daysTwice)
  .transform((settings): Schedule => ({ kind: 'window', window: windowOf(settings) }));

const afterSchedule = z
  .strictObject({
    after: z.enum(componentJobKinds).describe('the job that must have ended well'),
    of: nameSchema.optional().describe('name of the component of that job; the own one if absent'),
  })
  .transform(({ after, of }): Schedule => ({ kind: 'after', job: after, component: of }));

const beforeSchedule = z
  .strictObject({
    before: nameSchema.describe('what is about to happen, such as deployment; told by the command line or the API'),
  })
  .transform(({ before }): Schedule => ({ kind: 'before', event: before }));

export const scheduleSchema = z
  .union([cronSchedule, intervalSchedule, windowSchedule, afterSchedule, beforeSchedule])
  .meta({ title: 'a schedule: one of cron, every, window, after, before' });

/** One schedule, or several of which each counts. */
export const schedulesSchema = z
  .union([scheduleSchema, z.array(scheduleSchema).min(1)])
  .meta({ title: 'a schedule or a list of them' });
