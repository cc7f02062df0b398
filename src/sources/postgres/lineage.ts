// Timelines as branches of a journal: how a server's history becomes a name.
import { createHash } from 'node:crypto';

export interface Timeline {
  /** A 64-bit number as text. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** The bytes of its history file; undefined for timeline 1, which has none. */
  readonly history: Buffer | undefined;
}

const prefix = 'postgresql/';

/**
 * Two copies of a server that were promoted apart have timelines of the same number: what their history files say, down to the
 * instant of the promotion, tells them apart.
 */
export function lineageOf({ systemIdentifier, timeline, history }: Timeline): string {
  const number = timeline.toString(16).toUpperCase().padStart(8, '0');
  const hash = history === undefined ? '' : `-${createHash('sha256').update(history).digest('hex').slice(0, 12)}`;
  return `${prefix}${systemIdentifier}/${number}${hash}`;
}
