// What a proof of any kind is asked for and what it finds.
import type { Clock } from '../../base/clock.ts';
import { AppError, isAppError, messageOf } from '../../base/errors.ts';
import { isInRange, type ContentCheck } from '../../model/content-check.ts';
import type { FingerprintDifference } from '../../model/fingerprint.ts';
import type { ContentCount } from '../../model/proof-content.ts';
import type { ProofOutcome } from '../../model/proof.ts';
import type { SentinelMeasure } from '../../model/sentinel.ts';
import type { Source } from '../../sources/source.ts';
import type { PointParts } from '../restore/recovery-reader.ts';

export interface ProveRequest extends PointParts {
  readonly component: string;
  readonly source: Source;
  readonly checks: readonly ContentCheck[];
  readonly clock: Clock;
  /** Where throw-away folders are made. */
  readonly workFolder: string;
  readonly program: string;
}

export interface CheckResult {
  readonly check: string;
  readonly outcome: ProofOutcome;
  /** What was found, or why nothing was. */
  readonly value: string;
}

/** What one kind of proof found; the rest of the proof is the same for all. */
export interface Evidence {
  readonly sandbox: string;
  readonly restoredBytes: number;
  readonly compared: number;
  readonly rows: number;
  readonly content: readonly ContentCount[];
  readonly differences: readonly (FingerprintDifference & { readonly detail?: string | undefined })[];
  readonly checks: readonly CheckResult[];
  /** Absent if none came back. */
  readonly sentinel?: SentinelMeasure | undefined;
  /** What was left out of the comparison though all is in order, as a fact. */
  readonly remark?: string | undefined;
  /** Absent if there was something to compare with. */
  readonly incomparable?: string | undefined;
}

function titleOf(check: ContentCheck): string {
  if ('sql' in check) return check.sql;
  return 'keys' in check ? `keys ${check.keys}` : `file ${check.file}`;
}

/** A check that can't be asked says nothing about the data; one that is answered wrongly does. */
export async function runCheck(check: ContentCheck, ask: () => Promise<unknown>): Promise<CheckResult> {
  const title = titleOf(check);
  try {
    const value = await ask();
    const range = 'file' in check ? { min: check.minBytes ?? 0 } : check;
    const isPresent = value !== undefined && value !== null;
    return {
      check: title,
      outcome: isPresent && isInRange(value, range) ? 'passed' : 'failed',
      value: isPresent ? inWords(value) : 'nothing',
    };
  } catch (error) {
    const outcome = isAppError(error, 'USAGE') ? 'inconclusive' : 'failed';
    if (!(error instanceof AppError)) throw error;
    return { check: title, outcome, value: messageOf(error) };
  }
}

function inWords(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number | boolean}`;
}
