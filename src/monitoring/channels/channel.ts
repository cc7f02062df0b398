// The contract of what brings an alert to people. Trying again, falling back to another channel and remembering are the
// caller's: a channel delivers once, within bounds, and says how that went.
import type { Clock } from '../../base/clock.ts';
import type { AlertMessage } from '../../model/alert-message.ts';
import type { ChannelSettings } from '../../model/alert-settings.ts';

export interface Channel {
  readonly kind: ChannelSettings['type'];
  /** The receiver keeps an alert of its own open until it is told that the alert is resolved. */
  readonly keepsAlerts: boolean;
  /**
   * One attempt, which ends by itself. Rejects only when `signal` aborts, with its reason. A second delivery with the same
   * `idempotencyKey` is the same message again, as far as the receiver can tell.
   */
  deliver(message: AlertMessage, options: DeliveryOptions): Promise<Delivery>;
}

export interface DeliveryOptions {
  readonly signal: AbortSignal;
  /** Of one message: at most 200 letters, digits, `.`, `_` and `-`. */
  readonly idempotencyKey: string;
}

export type Delivery = Accepted | Refused | Later;

export interface Accepted {
  readonly outcome: 'accepted';
  /** What the receiver calls it. */
  readonly id?: string | undefined;
  /** What it did not take, if not all. */
  readonly note?: string | undefined;
}

/** Trying again does not help before somebody changes something. No secret is in either text. */
export interface Refused {
  readonly outcome: 'refused';
  /** A lower-case fact. */
  readonly reason: string;
  readonly hint: string;
}

export interface Later {
  readonly outcome: 'later';
  readonly reason: string;
  readonly hint: string;
  /** How long the receiver asks to wait. */
  readonly retryAfterMs?: number | undefined;
}

export interface ChannelParts {
  readonly clock: Clock;
  /** How long one delivery may take. */
  readonly timeoutMs: number;
}

export const deliveryTimeoutDefaultMs = 15_000;
