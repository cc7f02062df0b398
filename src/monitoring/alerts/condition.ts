// Something that is wrong at this moment, before anybody decided whom to tell.
import type { AlertFact } from '../../model/alert-message.ts';
import type { AlertKind, AlertSeverity } from '../../model/alert-routing.ts';

export interface Condition {
  /** What it is about, the same as long as it lasts: `standing/database`. */
  readonly subject: string;
  readonly kind: AlertKind;
  readonly component?: string | undefined;
  readonly severity: AlertSeverity;
  /** A few words, without the component: `RPO breached`. */
  readonly title: string;
  /** The most telling first. */
  readonly facts: readonly AlertFact[];
  /** What to do: an imperative sentence. */
  readonly hint?: string | undefined;
  /** A command line that helps. */
  readonly command?: string | undefined;
  /** How long it must last before anybody is told, if no rule says so: what may pass by itself. */
  readonly holdMs: number;
  /** Subject of the one that has the same cause and says more of it: who is told of that need not hear of this. */
  readonly cause?: string | undefined;
}
