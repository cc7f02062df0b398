// One line of `check`, `doctor` or a preflight: an aspect, how it stands, and what to do.

/** `failed` blocks the work; `warning` does not; `inconclusive` could not be looked at. */
export type FindingOutcome = 'passed' | 'warning' | 'failed' | 'inconclusive';

export interface Finding {
  /** Two or three words: `connection`, `disk space`, `server version`. */
  readonly aspect: string;
  readonly outcome: FindingOutcome;
  /** A lower-case fact with its values. */
  readonly message: string;
  /** An imperative sentence; required where the outcome is not `passed`. */
  readonly hint?: string | undefined;
}
