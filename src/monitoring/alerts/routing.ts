// From what is wrong to whom it is told, by the rules of the configuration.
import type { Way } from '../../catalog/alert-deliveries.ts';
import { alertSeverities, type AlertSeverity, type EscalationStep } from '../../model/alert-routing.ts';
import { addressKindOf, type AlertSettings } from '../../model/alert-settings.ts';
import type { Condition } from './condition.ts';

export interface Route {
  /** Nobody is told where there are none. */
  readonly steps: readonly EscalationStep[];
  /** How long it must last before. */
  readonly forMs: number;
  readonly repeatMs: number;
}

/** How one receiver is told, and what to try where the first way is dead. */
export interface Receiver extends Way {
  readonly contact: string | null;
  readonly otherWays: readonly Way[];
}

const hourMs = 3_600_000;
const repeatDefaultMs: Readonly<Record<AlertSeverity, number>> = {
  critical: 4 * hourMs,
  warning: 24 * hourMs,
  info: 24 * hourMs,
};

export function isWorse(one: AlertSeverity, other: AlertSeverity): boolean {
  return alertSeverities.indexOf(one) > alertSeverities.indexOf(other);
}

/** By the first rule that fits; without rules everybody is told of warnings and worse. */
export function routeOf(settings: AlertSettings, condition: Condition): Route {
  const { severity, kind, component, holdMs } = condition;
  const repeatMs = repeatDefaultMs[severity];
  const { rules } = settings;
  if (rules === undefined) {
    return { steps: severity === 'info' ? [] : [everybody(settings)], forMs: holdMs, repeatMs };
  }
  const rule = rules.find(
    (one) =>
      !isWorse(one.severity, severity) &&
      (one.kinds?.includes(kind) ?? true) &&
      (one.components === undefined || (component !== undefined && one.components.includes(component))),
  );
  if (rule === undefined) return { steps: [], forMs: holdMs, repeatMs };
  const { silent, escalation, channels, contacts, forMs = holdMs } = rule;
  const direct: EscalationStep = { afterMs: 0, channels, contacts, during: [] };
  const steps = silent ? [] : escalation === undefined ? [direct] : (settings.escalations[escalation] ?? []);
  return { steps, forMs, repeatMs: rule.repeatMs ?? repeatMs };
}

/** All contacts, and the channels that have receivers of their own. */
function everybody({ channels, contacts }: AlertSettings): EscalationStep {
  const withReceivers = Object.entries(channels).filter(
    ([, settings]) => addressKindOf(settings.type) === undefined || ('to' in settings && settings.to !== undefined),
  );
  const names = Object.keys(contacts);
  const reached = new Set(names.flatMap((name) => contacts[name]?.reach.map(({ channel }) => channel) ?? []));
  const own = withReceivers.map(([name]) => name).filter((name) => !reached.has(name));
  return { afterMs: 0, channels: own, contacts: names, during: [] };
}

/** Of some steps, each way once. `deadChannel`: one that is not worth trying. Channels and contacts that are not set here are left out. */
export function receiversOf(
  steps: readonly EscalationStep[],
  { channels, contacts }: AlertSettings,
  deadChannel?: string,
): Receiver[] {
  const isUsable = (channel: string): boolean => channels[channel] !== undefined && channel !== deadChannel;
  const receivers = steps.flatMap((step): Receiver[] => [
    ...step.channels.filter(isUsable).map((channel) => ({ channel, address: null, contact: null, otherWays: [] })),
    ...step.contacts.flatMap((contact): Receiver[] => {
      const ways = (contacts[contact]?.reach ?? [])
        .filter(({ channel }) => isUsable(channel))
        .map(({ channel, to }) => ({ channel, address: to ?? null }));
      const [first, ...otherWays] = ways;
      return first === undefined ? [] : [{ ...first, contact, otherWays }];
    }),
  ]);
  return [...new Map(receivers.map((one) => [wayKey(one), one])).values()];
}

export const wayKey = ({ channel, address }: Way): string => `${channel} ${address ?? ''}`;
