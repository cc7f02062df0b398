// Sends the messages that wait. One that can't be sent now is sent later; through a way that is dead, by the next one.
import type { Clock } from '../../base/clock.ts';
import { isAppError, messageOf as textOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import {
  insertDelivery,
  otherWaysOf,
  updateDelivery,
  waitingDeliveries,
  type AlertDeliveryRow,
} from '../../catalog/alert-deliveries.ts';
import { alertsById, type AlertRow } from '../../catalog/alerts.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { AlertSettings } from '../../model/alert-settings.ts';
import type { AlertMessage } from '../../model/alert-message.ts';
import { deliveryTimeoutDefaultMs, type Channel, type Delivery, type Later } from '../channels/channel.ts';
import { createChannel } from '../channels/create-channel.ts';
import { digestOf, groupMessage, messageOf } from './messages.ts';
import { wayKey } from './routing.ts';

export interface OutboxParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly application: string;
  readonly environment: string;
  readonly settings: AlertSettings;
}

const atOnceMax = 8;
/** Read at a time: the rest comes with the next look. */
const rowsMax = 500;
/** Attempts, before another way is tried, or the message is given up. */
const triesMax = { withOtherWay: 3, alone: 12 } as const;
const retryFirstMs = 10_000;
const retryMaxMs = 15 * 60_000;

/** Returns how many messages were sent, or tried. Rejects only when `signal` aborts: what was not tried then still waits. */
export async function sendWaiting(parts: OutboxParts, signal: AbortSignal): Promise<number> {
  const { catalog, application } = parts;
  const nowMs = await catalog.nowMs();
  const rows = await waitingDeliveries(catalog.db, application, rowsMax);
  const alerts = new Map(
    (await alertsById(catalog.db, [...new Set(rows.map(({ alertId }) => alertId))])).map((alert) => [alert.id, alert]),
  );
  const groups = Map.groupBy(rows, (row) => `${wayKey(row)} ${row.state}`);
  const due = [...groups.values()]
    .filter((group) => group.some(({ dueAtMs }) => dueAtMs <= nowMs))
    // Those that wait for others to come are the others.
    .map((group) => group.filter(({ dueAtMs, attempts }) => dueAtMs <= nowMs || attempts === 0));
  await forEachLimited(due, atOnceMax, (group) => sendGroup(parts, { group, alerts, nowMs }, signal));
  return due.length;
}

interface Sending {
  /** Of one way and one state. */
  readonly group: readonly AlertDeliveryRow[];
  readonly alerts: ReadonlyMap<string, AlertRow>;
  readonly nowMs: number;
}

async function sendGroup(parts: OutboxParts, { group, alerts, nowMs }: Sending, signal: AbortSignal): Promise<void> {
  const [first] = group;
  if (first === undefined) return;
  const channel = await channelOf(parts, first);
  const saying = { environment: parts.environment, state: first.state, nowMs };
  if ('outcome' in channel) {
    for (const row of group) await settle(parts, row, channel);
    return;
  }
  const pairs = group.flatMap((row) => {
    const alert = alerts.get(row.alertId);
    return alert === undefined ? [] : [{ row, alert }];
  });
  const isOne = pairs.length > 1 && !channel.keepsAlerts;
  const messages: [AlertMessage, AlertDeliveryRow[]][] = isOne
    ? [
        [
          groupMessage(
            pairs.map(({ alert }) => alert),
            saying,
          ),
          pairs.map(({ row }) => row),
        ],
      ]
    : pairs.map(({ alert, row }) => [messageOf(alert, saying), [row]]);
  for (const [message, rows] of messages) {
    const idempotencyKey = digestOf(rows.map(({ id }) => id));
    const delivery = await channel.deliver(message, { signal, idempotencyKey });
    for (const row of rows) await settle(parts, row, delivery);
  }
}

async function channelOf(
  { settings, clock }: OutboxParts,
  { channel: name, address }: AlertDeliveryRow,
): Promise<Channel | Delivery> {
  const channel = settings.channels[name];
  if (channel === undefined) {
    return {
      outcome: 'refused',
      reason: `there is no channel '${name}' any more`,
      hint: 'Name another one in alerts.',
    };
  }
  try {
    return await createChannel(channel, { clock, timeoutMs: deliveryTimeoutDefaultMs }, address ?? undefined);
  } catch (error) {
    if (!isAppError(error)) throw error;
    return { outcome: 'refused', reason: textOf(error), hint: error.hint };
  }
}

async function settle({ catalog }: OutboxParts, row: AlertDeliveryRow, delivery: Delivery): Promise<void> {
  const nowMs = await catalog.nowMs();
  const attempts = row.attempts + 1;
  if (delivery.outcome === 'accepted') {
    const { id: receiverId = null, note: reason = null } = delivery;
    const change = { outcome: 'accepted', receiverId, reason, hint: null, attempts, endedAtMs: nowMs } as const;
    await updateDelivery(catalog.db, row.id, change);
    return;
  }
  const { reason, hint } = delivery;
  const [next, ...otherWays] = otherWaysOf(row);
  const most = next === undefined ? triesMax.alone : triesMax.withOtherWay;
  if (delivery.outcome === 'later' && attempts < most) {
    await updateDelivery(catalog.db, row.id, { attempts, reason, hint, dueAtMs: nowMs + pauseMs(delivery, row) });
    return;
  }
  await catalog.transaction(async (trx) => {
    await updateDelivery(trx, row.id, { outcome: 'refused', reason, hint, attempts, endedAtMs: nowMs });
    if (next === undefined) return;
    const { alertId, application, state, contact } = row;
    const other = { alertId, application, state, contact, ...next, otherWays, dueAtMs: nowMs };
    await insertDelivery(catalog, other, trx);
  });
}

function pauseMs({ retryAfterMs = 0 }: Later, { attempts }: AlertDeliveryRow): number {
  return Math.min(retryMaxMs, Math.max(retryAfterMs, retryFirstMs * 2 ** attempts));
}
