// What a look at something found: problems, each with what to do, and the worst of them as the outcome.
import { count } from '../../base/count.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Clock } from '../../base/clock.ts';
import { daysUntil, type Observation, type ProbeOutcome } from '../../model/probe.ts';

export interface Problem {
  readonly outcome: Exclude<ProbeOutcome, 'up'>;
  readonly message: string;
  readonly hint: string;
}

export type Look = Omit<Observation, 'atMs' | 'latencyMs'>;

/** What probes need of the application, whose servers only the composition root can reach. */
export interface ProbePorts {
  /** Rows of a query to a component, in a session that may only read. */
  queryPostgres(
    component: string,
    query: { readonly sql: string; readonly database?: string | undefined },
    signal: AbortSignal,
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** What INFO says, after the server answered PING. */
  redisInfo(component: string, signal: AbortSignal): Promise<string>;
  /** Folders of the PATH. */
  readonly programFolders: readonly string[];
}

export interface LookParts {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly ports: ProbePorts;
}

const gravity: readonly ProbeOutcome[] = ['down', 'unknown', 'degraded'];

/** `summary` is said where there is no problem. */
export function conclude(summary: string, problems: readonly Problem[], facts: Look['facts'] = {}): Look {
  const [worst, ...others] = problems.toSorted((a, b) => gravity.indexOf(a.outcome) - gravity.indexOf(b.outcome));
  if (worst === undefined) return { outcome: 'up', message: summary, facts };
  const message = [worst, ...others].map((problem) => problem.message).join('; ');
  return { outcome: worst.outcome, message, hint: worst.hint, facts };
}

export function down(message: string, hint: string): Problem {
  return { outcome: 'down', message, hint };
}

export function degraded(message: string, hint: string): Problem {
  return { outcome: 'degraded', message, hint };
}

export function unknown(message: string, hint: string): Problem {
  return { outcome: 'unknown', message, hint };
}

export function slowness(latencyMs: number, slowMs: number | undefined): Problem[] {
  if (slowMs === undefined || latencyMs <= slowMs) return [];
  const message = `took ${formatDuration(latencyMs)}, more than ${formatDuration(slowMs)}`;
  return [degraded(message, 'Look for what makes it slow, or allow more time.')];
}

export function endingCertificate(
  endMs: number | undefined,
  { certificateDays, nowMs }: { readonly certificateDays: number; readonly nowMs: number },
): Problem[] {
  if (endMs === undefined) return [];
  const days = daysUntil(endMs, nowMs);
  if (days > certificateDays) return [];
  return [degraded(`its certificate ends in ${count(days, 'day')}`, 'Renew the certificate.')];
}
