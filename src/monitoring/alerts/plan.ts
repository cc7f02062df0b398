// What becomes of alerts: from what is wrong now and what was wrong before to which alerts there are, and who is told of them. Pure.
import type { AlertDeliveryRow, NewDelivery } from '../../catalog/alert-deliveries.ts';
import type { AlertRow } from '../../catalog/alerts.ts';
import { insideAt, type EscalationStep } from '../../model/alert-routing.ts';
import type { AlertSettings } from '../../model/alert-settings.ts';
import type { Condition } from './condition.ts';
import { isWorse, receiversOf, routeOf, wayKey, type Route } from './routing.ts';

export interface Situation {
  readonly application: string;
  readonly nowMs: number;
  readonly conditions: readonly Condition[];
  /** The open ones. */
  readonly alerts: readonly AlertRow[];
  /** What was sent of those, and what waits; the oldest first. */
  readonly deliveries: readonly AlertDeliveryRow[];
  readonly settings: AlertSettings;
  /** Nobody wants to hear of it at the moment. */
  readonly isQuiet: (condition: Condition) => boolean;
  readonly newId: () => string;
}

export interface AlertPlan {
  /** New ones, and those that are different from before. */
  readonly saved: AlertRow[];
  /** Those of them of which there is something to say: one that fires, gets worse, or is over. */
  readonly changed: AlertRow[];
  /** Ids of those that passed before anybody was told. */
  readonly removed: string[];
  readonly told: NewDelivery[];
  /** Ids of messages that nobody needs any more. */
  readonly dropped: string[];
}

export function planAlerts(situation: Situation): AlertPlan {
  const plan: AlertPlan = { saved: [], changed: [], removed: [], told: [], dropped: [] };
  const { conditions, alerts } = situation;
  const given = new Map(conditions.map((condition) => [condition.subject, condition]));
  const subjects = new Map([...given].map(([subject, one]) => [subject, withCause(one, given, situation.settings)]));
  const known = new Map(alerts.map((alert) => [alert.subject, alert]));
  for (const condition of subjects.values()) {
    const before = known.get(condition.subject);
    // What was told of is over; what is left may be the affair of others. Who takes care of it takes care of that, too.
    const isMilder = before?.state === 'firing' && isWorse(before.severity, condition.severity);
    if (isMilder) pass(situation, plan, before);
    goOn(situation, plan, { condition, before: isMilder ? undefined : before });
  }
  for (const alert of alerts) if (!subjects.has(alert.subject)) pass(situation, plan, alert);
  return plan;
}

/** With a cause only if everybody who is to hear of it hears of that instead. */
function withCause(
  { cause, ...condition }: Condition,
  given: ReadonlyMap<string, Condition>,
  settings: AlertSettings,
): Condition {
  const other = cause === undefined ? undefined : given.get(cause);
  if (other === undefined) return condition;
  const told = new Set(receiversOf(routeOf(settings, other).steps, settings).map(wayKey));
  const meant = receiversOf(routeOf(settings, condition).steps, settings);
  if (meant.length === 0 || !meant.every((one) => told.has(wayKey(one)))) return condition;
  return { ...condition, cause, facts: [...condition.facts, { name: 'Told as', value: other.subject }] };
}

interface Lasting {
  readonly condition: Condition;
  readonly before: AlertRow | undefined;
}

function goOn(situation: Situation, plan: AlertPlan, { condition, before }: Lasting): void {
  const { settings, nowMs, isQuiet } = situation;
  const route = routeOf(settings, condition);
  let alert = begun(described(before ?? created(situation, condition), condition), { before, route, nowMs });
  if (alert.state === 'firing' && (condition.cause !== undefined || isQuiet(condition))) {
    // Its steps begin to count when somebody wants to hear of it.
    if (alert.stepsTaken === 0) alert = { ...alert, stepsFromMs: nowMs };
  } else if (alert.state === 'firing') {
    alert = escalated(situation, plan, { alert, route });
  }
  if (before === undefined || !isSame(before, alert)) plan.saved.push(alert);
  const isNews = before?.state !== alert.state || before.severity !== alert.severity || before.title !== alert.title;
  if (isNews && alert.state !== 'pending') plan.changed.push(alert);
}

function created({ application, nowMs, newId }: Situation, { subject, kind }: Condition): AlertRow {
  return {
    id: newId(),
    application,
    subject,
    openKey: `${application}/${subject}`,
    kind,
    component: null,
    severity: 'info',
    title: '',
    facts: '[]',
    hint: null,
    command: null,
    state: 'pending',
    sinceMs: nowMs,
    firedAtMs: null,
    stepsFromMs: null,
    stepsTaken: 0,
    toldAtMs: null,
    acknowledgedAtMs: null,
    resolvedAtMs: null,
    byPerson: null,
  };
}

function described(alert: AlertRow, condition: Condition): AlertRow {
  const { component = null, severity, title, facts, hint = null, command = null } = condition;
  return { ...alert, component, severity, title, facts: JSON.stringify(facts), hint, command };
}

interface Beginning {
  readonly before: AlertRow | undefined;
  readonly route: Route;
  readonly nowMs: number;
}

/** Fires when it has lasted long enough; and anew when it got worse, whatever was said of it before. */
function begun(alert: AlertRow, { before, route, nowMs }: Beginning): AlertRow {
  const fires = { state: 'firing', stepsFromMs: nowMs, stepsTaken: 0 } as const;
  if (alert.state === 'pending') {
    return nowMs - alert.sinceMs >= route.forMs ? { ...alert, ...fires, firedAtMs: nowMs } : alert;
  }
  if (before === undefined || !isWorse(alert.severity, before.severity)) return alert;
  return { ...alert, ...fires, acknowledgedAtMs: null, resolvedAtMs: null, byPerson: null };
}

interface Firing {
  readonly alert: AlertRow;
  readonly route: Route;
}

function escalated(situation: Situation, plan: AlertPlan, { alert, route }: Firing): AlertRow {
  const { nowMs, deliveries } = situation;
  const { steps, repeatMs } = route;
  const { stepsTaken } = alert;
  const sent = deliveries.filter(({ alertId, state }) => alertId === alert.id && state === 'firing');
  // Nobody was reached: whoever comes next is told at once.
  const isLost = sent.length > 0 && sent.every(({ outcome }) => outcome === 'refused');
  const isDue = (step: EscalationStep): boolean => dueMs(step, alert, isLost ? nowMs : undefined) <= nowMs;
  const due = steps.map((step, at) => ({ step, at })).filter(({ step, at }) => at >= stepsTaken && isDue(step));
  const taken = isLost ? due.slice(0, 1) : due;
  const last = taken.at(-1);
  if (last !== undefined) {
    tell(situation, plan, { alert, steps: taken.map(({ step }) => step) });
    // Those whose hours are not, and behind whom others were told, come with the next repeat.
    return { ...alert, stepsTaken: last.at + 1, toldAtMs: nowMs };
  }
  if (stepsTaken === 0 || alert.toldAtMs === null || nowMs - alert.toldAtMs < repeatMs) return alert;
  const awake = steps.slice(0, stepsTaken).filter(({ during }) => insideAt(during, nowMs) === nowMs);
  if (awake.length === 0) return alert;
  tell(situation, plan, { alert, steps: awake });
  return { ...alert, toldAtMs: nowMs };
}

function dueMs(step: EscalationStep | undefined, { stepsFromMs }: AlertRow, earliestMs?: number): number {
  if (step === undefined || stepsFromMs === null) return Infinity;
  return insideAt(step.during, earliestMs ?? stepsFromMs + step.afterMs) ?? Infinity;
}

function tell(
  { settings, nowMs, application }: Situation,
  plan: AlertPlan,
  { alert, steps }: { readonly alert: AlertRow; readonly steps: readonly EscalationStep[] },
): void {
  const dead = alert.kind === 'channel' ? alert.subject.slice('channel/'.length) : undefined;
  for (const { contact, otherWays, ...way } of receiversOf(steps, settings, dead)) {
    const dueAtMs = nowMs + settings.groupMs;
    plan.told.push({ alertId: alert.id, application, state: 'firing', ...way, contact, otherWays, dueAtMs });
  }
}

/** What was wrong is so no more. Whoever heard of it hears of that, too. */
function pass(situation: Situation, plan: AlertPlan, alert: AlertRow): void {
  if (alert.state === 'pending') {
    plan.removed.push(alert.id);
    return;
  }
  const isClosed = alert.state === 'resolved';
  const closed: AlertRow = {
    ...alert,
    openKey: null,
    state: 'resolved',
    resolvedAtMs: isClosed ? alert.resolvedAtMs : situation.nowMs,
    byPerson: isClosed ? alert.byPerson : null,
  };
  plan.saved.push(closed);
  if (!isClosed) plan.changed.push(closed);
  if (!isClosed) plan.told.push(...closingMessages(situation, { alert, state: 'resolved' }));
  const waiting = situation.deliveries.filter(({ alertId, outcome }) => alertId === alert.id && outcome === 'waiting');
  plan.dropped.push(...waiting.filter(({ state }) => state === 'firing').map(({ id }) => id));
}

/** That it is acknowledged or resolved, to everybody who was told that it fires. */
export function closingMessages(
  { deliveries, nowMs }: Pick<Situation, 'deliveries' | 'nowMs'>,
  {
    alert,
    state,
  }: { readonly alert: Pick<AlertRow, 'id' | 'application'>; readonly state: 'acknowledged' | 'resolved' },
): NewDelivery[] {
  const told = deliveries.filter(
    ({ alertId, state: of, outcome }) => alertId === alert.id && of === 'firing' && outcome === 'accepted',
  );
  const ways = new Map(told.map((delivery) => [wayKey(delivery), delivery]));
  return [...ways.values()].map(({ channel, address, contact }) => ({
    alertId: alert.id,
    application: alert.application,
    state,
    channel,
    address,
    contact,
    otherWays: [],
    dueAtMs: nowMs,
  }));
}

function isSame(one: AlertRow, other: AlertRow): boolean {
  return (Object.keys(one) as (keyof AlertRow)[]).every((key) => one[key] === other[key]);
}
