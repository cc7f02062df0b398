// Alerts and their deliveries for tests: one story in three states, sent by settings as lifeboat.yaml has them.
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AlertMessage } from '../../src/model/alert-message.ts';
import { alertsSchema, type ChannelSettings } from '../../src/model/alert-settings.ts';
import type { Delivery } from '../../src/monitoring/channels/channel.ts';
import { createChannel } from '../../src/monitoring/channels/create-channel.ts';
import type { WebReceiver } from './alert-receivers.ts';

const { signal: never } = new AbortController();
export const plantedSecret = 'planted-secret-0123456789';
const sinceMs = Date.UTC(2026, 10, 28, 4, 12);
export const firing: AlertMessage = {
  alertId: 'rpo:database',
  application: 'shop',
  environment: 'production',
  component: 'database',
  severity: 'critical',
  state: 'firing',
  title: 'RPO breached',
  facts: [
    { name: 'RPO now', value: '4h 3m', objective: '1h' },
    { name: 'Last backup', value: '2026-11-28 00:09 UTC' },
  ],
  hint: 'Start the journal receiver.',
  command: 'lifeboat journal run database',
  link: 'https://lifeboat.example/alerts/17',
  sinceMs,
  atMs: sinceMs + 25 * 60_000,
};
export const acknowledged: AlertMessage = { ...firing, state: 'acknowledged', by: 'anna', atMs: sinceMs + 30 * 60_000 };
export const resolved: AlertMessage = { ...firing, state: 'resolved', atMs: sinceMs + 65 * 60_000 };

/** As lifeboat.yaml would give them. */
function settingsOf(given: Record<string, unknown>): ChannelSettings {
  const { one } = alertsSchema.parse({ channels: { one: given } }).channels;
  if (one === undefined) throw new Error('no channel');
  return one;
}

/** One delivery by settings as lifeboat.yaml has them; whatever it says holds no secret. */
export async function deliver(
  given: Record<string, unknown>,
  message: AlertMessage = firing,
  options: {
    readonly timeoutMs?: number;
    readonly to?: string;
    readonly signal?: AbortSignal;
    readonly key?: string;
  } = {},
): Promise<Delivery> {
  const parts = { clock: systemClock, timeoutMs: options.timeoutMs ?? 5000 };
  const channel = await createChannel(settingsOf(given), parts, options.to);
  const delivery = await channel.deliver(message, {
    signal: options.signal ?? never,
    idempotencyKey: options.key ?? 'delivery-1',
  });
  // None of what only the two sides may know is ever told.
  expect(JSON.stringify(delivery)).not.toContain('planted');
  return delivery;
}

export function bodyOf(receiver: WebReceiver, at = -1): unknown {
  return JSON.parse(receiver.requests.at(at)?.body ?? '') as unknown;
}
