// Which alerts go to whom, after how long, and how often again.
import { z } from 'zod';
import { durationSchema, nameSchema } from './scalar-schemas.ts';
import { jobKinds } from './schedule.ts';
import { timeWindowSchema, windowSpans, type TimeWindow } from './time-window.ts';

/**
 * What an alert is about: `standing` of a component, a `job` that failed, a `probe`, the `receiver` of a journal, a `channel` that does
 * not deliver, the `configuration`.
 */
export const alertKinds = ['standing', 'job', 'probe', 'receiver', 'channel', 'configuration'] as const;
export type AlertKind = (typeof alertKinds)[number];

export const alertSeverities = ['info', 'warning', 'critical'] as const;
export type AlertSeverity = (typeof alertSeverities)[number];

const receiversFields = {
  channels: z.array(nameSchema).default([]).describe('channels with receivers of their own'),
  contacts: z.array(nameSchema).default([]).describe('people, each by the first way that works'),
};

const stepSchema = z
  .strictObject({
    after: durationSchema.optional().describe('how long after the alert; at once if absent'),
    ...receiversFields,
    during: z
      .array(timeWindowSchema)
      .default([])
      .describe('hours in which they are told; outside of them when the next ones begin'),
  })
  .refine(hasReceivers, { message: 'expected channels or contacts' })
  .transform(({ after = 0, ...rest }) => ({ ...rest, afterMs: after }))
  .describe('who is told if nobody acknowledged the alert before');

/** A step of an escalation. */
export type EscalationStep = z.output<typeof stepSchema>;

export const escalationSchema = z
  .array(stepSchema)
  .min(1)
  .refine((steps) => steps.every(({ afterMs }, at) => afterMs >= (steps[at - 1]?.afterMs ?? 0)), {
    message: 'expected steps in the order of their after',
  })
  .describe('steps, the first one first');

export const ruleSchema = z
  .strictObject({
    severity: z.enum(alertSeverities).default('warning').describe('alerts that are at least so severe'),
    kinds: z.array(z.enum(alertKinds)).min(1).optional().describe('what they are about; anything if absent'),
    components: z.array(nameSchema).min(1).optional().describe('components that they are about; any if absent'),
    for: durationSchema
      .optional()
      .describe('how long it must last before anybody is told; up to 5m, by what it is, if absent'),
    repeat: durationSchema
      .optional()
      .describe('how often it is told again until somebody acknowledges it; 4h if critical, 1d otherwise, if absent'),
    escalation: nameSchema.optional().describe('steps by which people are told'),
    ...receiversFields,
    silent: z.boolean().default(false).describe('nobody is told'),
  })
  .refine((rule) => [rule.silent, rule.escalation !== undefined, hasReceivers(rule)].filter(Boolean).length === 1, {
    message: 'expected one of escalation, silent, and channels or contacts',
  })
  .transform(({ for: forMs, repeat: repeatMs, ...rest }) => ({ ...rest, forMs, repeatMs }))
  .describe('who is told of some alerts; the first rule that fits an alert counts');

export const reportSchema = z
  .strictObject({
    jobs: z.array(z.enum(jobKinds)).min(1).optional().describe('jobs to tell of; all if absent'),
    components: z.array(nameSchema).min(1).optional().describe('components to tell of; all if absent'),
    ...receiversFields,
  })
  .refine(hasReceivers, { message: 'expected channels or contacts' })
  .describe('who is told that a job ended well; not through PagerDuty and Opsgenie, where that would be an incident');

export type ReportSettings = z.output<typeof reportSchema>;

function hasReceivers({ channels, contacts }: { channels: readonly string[]; contacts: readonly string[] }): boolean {
  return channels.length + contacts.length > 0;
}

/** The first instant from `atMs` on that one of the windows holds; itself where there are none. Undefined: never. */
export function insideAt(windows: readonly TimeWindow[], atMs: number): number | undefined {
  if (windows.length === 0) return atMs;
  const begins = windows.flatMap((window) => {
    const span = windowSpans(window, atMs).find(({ endMs }) => endMs > atMs);
    return span === undefined ? [] : [Math.max(atMs, span.startMs)];
  });
  return begins.length === 0 ? undefined : Math.min(...begins);
}
