// How the time of a restore reads against what was promised.
import { formatDuration } from '../base/duration.ts';
import type { RestoreTime, RtoState } from '../model/rto.ts';
import { elapsedWords, wrap, type Paint, type Style } from './style.ts';

const paints: Readonly<Record<RtoState, Paint>> = {
  met: 'green',
  at_risk: 'yellow',
  breached: 'red',
  unknown: 'yellow',
  none: 'dim',
};

export interface RtoStatus {
  readonly name: string;
  readonly rtoMs: number | undefined;
  readonly rto: RtoState;
  readonly restore: RestoreTime | undefined;
}

/** Nothing where no RTO was promised. */
export function rtoLines({ name, rto, rtoMs, restore }: RtoStatus, style: Style): string[] {
  if (rtoMs === undefined) return [];
  const state = style.paint(paints[rto], rto.replace('_', ' '));
  const promised = `RTO of ${name} ${state} ${formatDuration(rtoMs)}`;
  if (restore === undefined) return wrap(`${promised}: 'lifeboat prove ${name}' measures it`, style.widthColumns);
  const { lastMs, forecast } = restore;
  const expected =
    forecast === undefined
      ? ''
      : `; to be expected: ${elapsedWords(forecast.lowMs)} to ${elapsedWords(forecast.highMs)}`;
  return wrap(`${promised}: restored and compared in ${elapsedWords(lastMs)}${expected}`, style.widthColumns);
}
