// How much of the time something worked, by looks at it. Time in which nobody could look counts neither way.
import type { ProbeOutcome } from './probe.ts';

export interface LookCounts {
  readonly up: number;
  readonly degraded: number;
  readonly down: number;
  readonly unknown: number;
}

export interface Availability {
  /** Percent of the looks that saw something; undefined where none did. What is degraded works. */
  readonly percent: number | undefined;
  /** Percent of all looks that saw nothing. */
  readonly unknownPercent: number;
  readonly looks: number;
}

export interface Outages {
  /** That are over: it was down, and works again. */
  readonly outages: number;
  /** How long they took on average, the mean time to recovery; undefined where there were none. */
  readonly meanRecoveryMs: number | undefined;
}

/** From changes of what is seen, the oldest first. Not to see anything ends no outage. */
export function outagesOf(changes: readonly { readonly atMs: number; readonly outcome: ProbeOutcome }[]): Outages {
  const tookMs: number[] = [];
  let downMs: number | undefined;
  for (const { atMs, outcome } of changes) {
    if (outcome === 'down') {
      downMs ??= atMs;
    } else if (outcome !== 'unknown' && downMs !== undefined) {
      tookMs.push(atMs - downMs);
      downMs = undefined;
    }
  }
  const sumMs = tookMs.reduce((sum, one) => sum + one, 0);
  return { outages: tookMs.length, meanRecoveryMs: tookMs.length === 0 ? undefined : sumMs / tookMs.length };
}

export function availabilityOf(hours: readonly LookCounts[]): Availability {
  const sum = (key: keyof LookCounts): number => hours.reduce((total, hour) => total + hour[key], 0);
  const works = sum('up') + sum('degraded');
  const seen = works + sum('down');
  const looks = seen + sum('unknown');
  return {
    percent: seen === 0 ? undefined : (100 * works) / seen,
    unknownPercent: looks === 0 ? 0 : (100 * sum('unknown')) / looks,
    looks,
  };
}

/**
 * The bound below which the share of all answers lies, by counts up to each bound and one of what took longer (Infinity). Undefined where
 * there are no answers.
 */
export function latencyQuantile(
  counts: readonly (readonly number[])[],
  bounds: readonly number[],
  share: number,
): number | undefined {
  const places = Array.from({ length: bounds.length + 1 }, (_, at) =>
    counts.reduce((total, one) => total + (one[at] ?? 0), 0),
  );
  const all = places.reduce((total, one) => total + one, 0);
  if (all === 0) return undefined;
  let passed = 0;
  for (const [at, count] of places.entries()) {
    passed += count;
    if (passed >= all * share) return bounds[at] ?? Infinity;
  }
  return Infinity;
}
