// The tables of what is wrong, of who was told of it, and of what nobody wants to hear of, as TypeScript sees them.
import type { AlertKind, AlertSeverity } from '../model/alert-routing.ts';

/** Text of a JSON document. */
type JsonText = string;

/** `pending`: too new to tell anybody. */
export type AlertRowState = 'pending' | 'firing' | 'acknowledged' | 'resolved';

export interface AlertTable {
  readonly id: string;
  readonly application: string;
  /** What it is about, the same as long as it lasts: `standing/database`. */
  readonly subject: string;
  /** Application and subject while what is wrong lasts, so that there is one alert of it; absent afterwards. */
  readonly openKey: string | null;
  /** `report`: something went well, of which people want to hear. */
  readonly kind: AlertKind | 'report';
  readonly component: string | null;
  readonly severity: AlertSeverity;
  readonly title: string;
  /** List of name, value and objective. */
  readonly facts: JsonText;
  readonly hint: string | null;
  readonly command: string | null;
  readonly state: AlertRowState;
  /** Since when it is wrong. */
  readonly sinceMs: number;
  readonly firedAtMs: number | null;
  /** When the steps of its escalation began to count. */
  readonly stepsFromMs: number | null;
  /** So many of them were taken. */
  readonly stepsTaken: number;
  readonly toldAtMs: number | null;
  readonly acknowledgedAtMs: number | null;
  readonly resolvedAtMs: number | null;
  /** Who acknowledged or resolved it, if a person did. */
  readonly byPerson: string | null;
}

/** One message to one receiver. */
export interface AlertDeliveryTable {
  readonly id: string;
  readonly alertId: string;
  readonly application: string;
  /** What of the alert it tells. */
  readonly state: 'firing' | 'acknowledged' | 'resolved';
  readonly channel: string;
  /** Where the channel sends to several. */
  readonly address: string | null;
  readonly contact: string | null;
  /** Ways to try when this one is dead: list of channel and address. */
  readonly otherWays: JsonText;
  readonly dueAtMs: number;
  readonly attempts: number;
  /** `dropped`: nothing is to be told any more. */
  readonly outcome: 'waiting' | 'accepted' | 'refused' | 'dropped';
  readonly reason: string | null;
  readonly hint: string | null;
  /** What the receiver calls it. */
  readonly receiverId: string | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
}

/** Nobody is told of what fits it. */
export interface SilenceTable {
  readonly id: string;
  readonly application: string;
  /** Of this component alone. */
  readonly component: string | null;
  /** Of this subject alone. */
  readonly subject: string | null;
  readonly untilMs: number;
  readonly byPerson: string;
  readonly reason: string | null;
  readonly createdAtMs: number;
}

export interface AlertTables {
  readonly alert: AlertTable;
  readonly alertDelivery: AlertDeliveryTable;
  readonly silence: SilenceTable;
}
