// Timelines: a server that was recovered or promoted writes on a branch of its own, and a history file says where from.
import { isUtf8 } from 'node:buffer';
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';
import { serverFileDamaged } from './wal-damage.ts';
import { historyName } from './segment-name.ts';

export interface Ancestor {
  readonly timeline: number;
  /** Where the next timeline left this one. */
  readonly switchLsn: Lsn;
  /** `no recovery target specified`, `before 2026-11-20 17:34:04.236886+00`; free text. */
  readonly reason: string;
}

export interface TimelineHistory {
  readonly timeline: number;
  /** Oldest first; empty for timeline 1, which has no history file. */
  readonly ancestors: readonly Ancestor[];
}

/** One stretch of WAL of a timeline's history: what lies there was written under `timeline`. */
export interface TimelineStretch {
  readonly timeline: number;
  readonly from: Lsn;
  /** Undefined for the last, which goes on. */
  readonly to: Lsn | undefined;
}

export const firstHistory: TimelineHistory = { timeline: 1, ancestors: [] };

/** A line is some 60 bytes, and a timeline is born by hand: nobody has tens of thousands. */
const historyBytesMax = 4 * 2 ** 20;
const lineForm = /^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s+(.*))?$/;

/** Reads `0000000N.history`; the reason is free text in any encoding, so only what matters must be sound. */
export function parseTimelineHistory(timeline: number, bytes: Buffer): TimelineHistory {
  const damaged = (what: string): Error => serverFileDamaged(`${historyName(timeline)}: ${what}`);
  if (bytes.length > historyBytesMax) throw damaged(`${bytes.length} bytes are too many`);
  const ancestors: Ancestor[] = [];
  const lines = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1').split('\n');
  for (const [index, line] of lines.entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const ancestor = parseAncestor(line);
    if (ancestor === undefined) throw damaged(`line ${index + 1} names no timeline and position`);
    if (!isBehind(ancestor, ancestors.at(-1))) throw damaged(`line ${index + 1} is not behind the one before`);
    ancestors.push(ancestor);
  }
  const parent = ancestors.at(-1)?.timeline;
  if (parent === undefined && timeline !== 1) throw damaged('it names no ancestor');
  if (parent !== undefined && parent >= timeline) throw damaged(`its parent is ${parent}, which is not older`);
  return { timeline, ancestors };
}

function parseAncestor(line: string): Ancestor | undefined {
  const [, timeline = '', lsn = '', reason = ''] = lineForm.exec(line) ?? [];
  const switchLsn = parseLsn(lsn);
  return switchLsn === undefined ? undefined : { timeline: Number(timeline), switchLsn, reason: reason.trim() };
}

function isBehind({ timeline, switchLsn }: Ancestor, before: Ancestor | undefined): boolean {
  if (before === undefined) return timeline > 0;
  return timeline > before.timeline && switchLsn >= before.switchLsn;
}

/** Which timeline holds which stretch of the WAL, from the beginning on; empty stretches are left out. */
export function timelinePath({ timeline, ancestors }: TimelineHistory): TimelineStretch[] {
  const path: TimelineStretch[] = [];
  let from = 0n;
  for (const { timeline: one, switchLsn } of ancestors) {
    if (switchLsn > from) path.push({ timeline: one, from, to: switchLsn });
    from = switchLsn;
  }
  return [...path, { timeline, from, to: undefined }];
}

/** Where on the way to `history.timeline` the WAL from `lsn` on is found; as the server decides it. */
export function timelineAt(history: TimelineHistory, lsn: Lsn): number {
  const stretch = timelinePath(history).find(({ to }) => to === undefined || lsn < to);
  return stretch?.timeline ?? history.timeline;
}

/**
 * Whether a server that replayed timeline `timeline` up to `lsn`, and no further, can go on along this history.
 * Exactly at a switch both the parent and the child are the same state.
 */
export function isOnPath(history: TimelineHistory, { timeline, lsn }: { timeline: number; lsn: Lsn }): boolean {
  if (timeline === history.timeline) return lsn >= (history.ancestors.at(-1)?.switchLsn ?? 0n);
  const index = history.ancestors.findIndex((one) => one.timeline === timeline);
  const ancestor = history.ancestors[index];
  if (ancestor === undefined) return false;
  return lsn <= ancestor.switchLsn && lsn >= (history.ancestors[index - 1]?.switchLsn ?? 0n);
}

/** `0/3000060 of timeline 1`, for messages. */
export function describeSwitch({ timeline, switchLsn }: Ancestor): string {
  return `${formatLsn(switchLsn)} of timeline ${timeline}`;
}
