// From alerts as they are kept to what is sent: one message for each, or one for several where the receiver only reads.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { AlertRow } from '../../catalog/alerts.ts';
import { count } from '../../base/count.ts';
import type { AlertFact, AlertMessage, AlertState } from '../../model/alert-message.ts';
import { isWorse } from './routing.ts';

const factsSchema: z.ZodType<AlertFact[]> = z.array(
  z.object({ name: z.string(), value: z.string(), objective: z.string().optional() }),
);

export const factsOf = ({ facts }: Pick<AlertRow, 'facts'>): AlertFact[] => factsSchema.parse(JSON.parse(facts));

export interface Saying {
  readonly environment: string;
  readonly state: AlertState;
  readonly nowMs: number;
}

export function messageOf(alert: AlertRow, { environment, state, nowMs }: Saying): AlertMessage {
  const { id, application, component, severity, title, hint, command, sinceMs, byPerson } = alert;
  const { acknowledgedAtMs, resolvedAtMs } = alert;
  const atMs = { firing: nowMs, acknowledged: acknowledgedAtMs ?? nowMs, resolved: resolvedAtMs ?? nowMs }[state];
  return {
    alertId: id,
    application,
    environment,
    component: component ?? undefined,
    severity,
    state,
    title,
    facts: factsOf(alert),
    hint: hint ?? undefined,
    command: command ?? undefined,
    sinceMs,
    atMs,
    by: byPerson ?? undefined,
  };
}

/** Of at least two alerts of one application. */
export function groupMessage(alerts: readonly AlertRow[], saying: Saying): AlertMessage {
  const [first] = alerts;
  assert.ok(first !== undefined && alerts.length >= 2);
  const worst = alerts.reduce((one, other) => (isWorse(other.severity, one.severity) ? other : one));
  return {
    ...messageOf(worst, saying),
    alertId: digestOf(alerts.map(({ id }) => id)),
    component: undefined,
    title: count(alerts.length, 'alert'),
    facts: alerts.map((alert) => {
      const { component, title, severity } = alert;
      const place = component === null ? title : `${component}: ${title}`;
      return { name: `${place} (${severity})`, value: factsOf(alert)[0]?.value ?? '' };
    }),
    hint: 'See what is wrong, and acknowledge what you take care of.',
    command: 'lifeboat alerts list',
    sinceMs: Math.min(...alerts.map(({ sinceMs }) => sinceMs)),
  };
}

/** The same for the same ones. */
export function digestOf(ids: readonly string[]): string {
  return createHash('sha256').update(ids.join(' ')).digest('hex').slice(0, 32);
}
