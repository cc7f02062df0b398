// What a recovery to an instant lost, measured by the newest sentinel that came back.
import type { RecoveryTarget } from '../model/recovery-target.ts';
import { measureBy, measureWords, type SentinelMeasure } from '../model/sentinel.ts';
import type { ReplayInstant } from '../sources/replay.ts';
import { wrap, type Style } from './style.ts';

export interface MeasuredRpo extends SentinelMeasure {
  /** What the instant is: the one that was asked for, or now where it was the end of the journal. */
  readonly against: 'the instant' | 'now';
}

export interface Recovered {
  /** Undefined if no sentinel came back. */
  readonly sentinelMs: number | undefined;
  /** Undefined for a backup itself. */
  readonly target: RecoveryTarget | undefined;
  readonly reaches: ReplayInstant;
  readonly nowMs: number;
}

/** Undefined without a sentinel, and where the time of the instant is not known. */
export function measuredRpo({ sentinelMs, target, reaches, nowMs }: Recovered): MeasuredRpo | undefined {
  if (sentinelMs === undefined) return undefined;
  if (target?.kind === 'end') return { ...measureBy(sentinelMs, nowMs), against: 'now' };
  const timeUs = target?.kind === 'time' ? target.timeUs : reaches.timeUs;
  return timeUs === undefined ? undefined : { ...measureBy(sentinelMs, timeUs / 1000), against: 'the instant' };
}

export function measuredLines(measured: MeasuredRpo | undefined, style: Style): string[] {
  if (measured === undefined) return [];
  return wrap(measureWords(measured, measured.against), style.widthColumns - 2).map((line) => `  ${line}`);
}
