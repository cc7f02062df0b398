// Timelines as branches of a journal: how a server's history becomes a name, and which kept branch a server can go on with.
import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import type { JournalAncestor, JournalBranch } from '../journal.ts';
import { positionOf } from './wal/lsn.ts';
import { firstHistory, parseTimelineHistory, type TimelineHistory } from './wal/timeline-history.ts';

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

export interface TimelineFacts extends Timeline {
  readonly segmentBytes: number;
  /** Major version of the server. Another one has another system identifier: `pg_upgrade` makes a new system. */
  readonly major: number;
}

const aboutSchema = z.object({
  systemIdentifier: z.string(),
  timeline: z.int().min(1),
  /** Text of the history file: in UTF-8 if it is that, else each byte a character. */
  history: z.string().optional(),
  major: z.int(),
});

export type TimelineAbout = z.infer<typeof aboutSchema>;

export function timelineBranch(facts: TimelineFacts): JournalBranch {
  const { systemIdentifier, timeline, history, major, segmentBytes } = facts;
  const text = history === undefined ? undefined : history.toString(isUtf8(history) ? 'utf8' : 'latin1');
  const ancestors = ancestorsOf(facts).map(({ lineage, at }) => ({ lineage, at: { ...at } }));
  const about = { systemIdentifier, timeline, major, ancestors, ...(text === undefined ? {} : { history: text }) };
  return { lineage: lineageOf(facts), segmentBytes, about };
}

function ancestorsOf(facts: TimelineFacts): JournalAncestor[] {
  const { systemIdentifier, segmentBytes, history: content } = facts;
  return historyOf(facts).ancestors.map(({ timeline, switchLsn }) => {
    const history = content === undefined ? undefined : ancestorHistory(content, timeline);
    return { lineage: lineageOf({ systemIdentifier, timeline, history }), at: positionOf(switchLsn, segmentBytes) };
  });
}

/** What is known of a branch that is kept; undefined if it is no timeline of PostgreSQL. */
export function readTimelineBranch(branch: Pick<JournalBranch, 'lineage' | 'about'>): TimelineAbout | undefined {
  if (!branch.lineage.startsWith(prefix)) return undefined;
  return aboutSchema.safeParse(branch.about).data;
}

export function historyOf({ timeline, history }: Pick<Timeline, 'timeline' | 'history'>): TimelineHistory {
  return history === undefined ? firstHistory : parseTimelineHistory(timeline, history);
}

/**
 * Whether the timeline of a kept branch is the one that this history names as its ancestor. A server begins the history file of
 * a new timeline with that of the parent, byte for byte.
 */
export function isAncestor(kept: Pick<TimelineAbout, 'timeline' | 'history'>, server: Timeline): boolean {
  const { ancestors } = historyOf(server);
  if (!ancestors.some(({ timeline }) => timeline === kept.timeline)) return false;
  const text = kept.history ?? '';
  const content = server.history ?? Buffer.alloc(0);
  return (['utf8', 'latin1'] as const).some((encoding) => {
    const bytes = Buffer.from(text, encoding);
    return content.subarray(0, bytes.length).equals(bytes);
  });
}

/** The history file of an ancestor, as its child's begins with it; for servers that have the file no more. */
export function ancestorHistory(history: Buffer, timeline: number): Buffer | undefined {
  if (timeline === 1) return undefined;
  const text = history.toString('latin1');
  const line = new RegExp(`^\\s*${timeline}\\s`, 'm').exec(text);
  if (line === null) return undefined;
  // A child's line follows after an empty one, of which the line feed is not the parent's.
  const start = line.index + (/^\n*/.exec(line[0])?.[0].length ?? 0);
  const end = text.slice(0, start).endsWith('\n\n') ? start - 1 : start;
  return end === 0 ? undefined : history.subarray(0, end);
}
