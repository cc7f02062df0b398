// Whether what was tried against the objects of a repository fits what lifeboat.yaml promises of it.
import { dayMs, formatAtMost } from '../base/duration.ts';
import type { RepositorySettings } from './repository-settings.ts';

export interface TamperPromise {
  /** `survives: [ransomware]`. */
  readonly outlivesRansomware: boolean;
  /** `bucket.lock`. */
  readonly lockDays: number | undefined;
}

export const promiseOf = ({ survives = [], s3 }: RepositorySettings): TamperPromise => ({
  outlivesRansomware: survives.includes('ransomware'),
  lockDays: s3?.bucket?.lockDays,
});

interface Tried {
  readonly trials: readonly { readonly trial: string; readonly outcome: string }[];
  readonly lock: { readonly state: 'locked' | 'none' | 'unknown'; readonly untilMs?: number };
  /** When it was written. */
  readonly atMs: number;
}

export interface TamperVerdict {
  /** `broken`: something that is promised does not hold. `exposed`: nothing is promised, and data could be lost. `inconclusive`: promised, and not known. */
  readonly verdict: 'holds' | 'exposed' | 'broken' | 'inconclusive';
  readonly reasons: readonly string[];
}

/** Clocks differ. */
const toleranceMs = 60 * 60_000;

export function judgeTampering(promise: TamperPromise, tried: Tried): TamperVerdict {
  const ofOutcome = (outcome: string): string[] =>
    tried.trials.filter((each) => each.outcome === outcome).map(({ trial }) => trial);
  const allowed = ofOutcome('allowed').map((trial) => `${trial}: allowed`);
  const isPromised = promise.outlivesRansomware || promise.lockDays !== undefined;
  if (!isPromised) return { verdict: allowed.length > 0 ? 'exposed' : 'holds', reasons: allowed };
  const broken = [...allowed, ...lockReasons(promise, tried)];
  if (broken.length > 0) return { verdict: 'broken', reasons: broken };
  const unknown = ofOutcome('inconclusive').map((trial) => `${trial}: not known`);
  if (promise.lockDays !== undefined && tried.lock.state === 'unknown') unknown.push('the lock can not be looked at');
  return unknown.length > 0 ? { verdict: 'inconclusive', reasons: unknown } : { verdict: 'holds', reasons: [] };
}

function lockReasons({ lockDays }: TamperPromise, { lock, atMs }: Tried): string[] {
  if (lockDays === undefined || lock.state === 'unknown') return [];
  const lastsMs = (lock.untilMs ?? atMs) - atMs;
  if (lastsMs >= lockDays * dayMs - toleranceMs) return [];
  const is =
    lock.state === 'none' ? 'what is written is not locked' : `what is written is locked for ${formatAtMost(lastsMs)}`;
  return [`${is}, and lock: ${lockDays}d is promised`];
}
