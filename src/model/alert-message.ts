// What an alert says to people, whatever brings it to them.
import type { AlertSeverity } from './alert-routing.ts';

export type AlertState = 'firing' | 'acknowledged' | 'resolved';

export interface AlertMessage {
  /** The same for all messages about one alert: receivers put them together and close them by it. */
  readonly alertId: string;
  readonly application: string;
  readonly environment: string;
  readonly component?: string | undefined;
  readonly severity: AlertSeverity;
  readonly state: AlertState;
  /** A few words, without the component: `RPO breached`. */
  readonly title: string;
  /** The most telling first: what does not fit is cut from the end. */
  readonly facts: readonly AlertFact[];
  /** What to do: an imperative sentence. */
  readonly hint?: string | undefined;
  /** A command line that helps. */
  readonly command?: string | undefined;
  readonly link?: string | undefined;
  /** When it began. */
  readonly sinceMs: number;
  /** When this was found or done. */
  readonly atMs: number;
  /** Who acknowledged or resolved it, if a person did. */
  readonly by?: string | undefined;
}

/** `RPO now: 4h 3m (objective 1h)`. */
export interface AlertFact {
  readonly name: string;
  readonly value: string;
  readonly objective?: string | undefined;
}
