// The timelines whose changes are kept, and how they hang together: which stretch of which of them leads to each one's end.
import { z } from 'zod';
import type { JournalBranch, KeptSegment } from '../../journal.ts';
import { ancestorHistory, historyOf, lineageOf, readTimelineBranch } from '../lineage.ts';
import type { Lsn } from '../wal/lsn.ts';
import { firstHistory, timelinePath, type TimelineHistory } from '../wal/timeline-history.ts';

export interface KeptTimeline {
  readonly lineage: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly major: number | undefined;
  readonly segmentBytes: number;
  readonly history: TimelineHistory;
  /** As it stands in the history file; undefined for timeline 1. */
  readonly historyFile: Buffer | undefined;
  /** From the beginning of all WAL to this timeline's own, open end. */
  readonly path: readonly PathStretch[];
  /** In order. */
  readonly segments: readonly KeptSegment[];
}

/** What lies there was written under `timeline`. */
export interface PathStretch {
  readonly lineage: string;
  readonly timeline: number;
  readonly from: Lsn;
  /** Undefined for the last, which goes on. */
  readonly to: Lsn | undefined;
}

/** Undefined if it is no timeline of PostgreSQL, or its history contradicts its name: nothing can be replayed from it. */
export function keptTimeline(branch: JournalBranch, segments: readonly KeptSegment[]): KeptTimeline | undefined {
  const about = readTimelineBranch(branch);
  if (about === undefined) return undefined;
  const { systemIdentifier, timeline, major } = about;
  const historyFile = historyBytes(branch.lineage, about);
  if (historyFile === 'other') return undefined;
  const history = historyOf({ timeline, history: historyFile });
  const path = timelinePath(history).map((stretch) => {
    const own = historyFile === undefined ? undefined : ancestorHistory(historyFile, stretch.timeline);
    const isLast = stretch.timeline === timeline;
    const lineage = isLast ? branch.lineage : lineageOf({ systemIdentifier, timeline: stretch.timeline, history: own });
    return { ...stretch, lineage };
  });
  const { lineage, segmentBytes } = branch;
  return { lineage, systemIdentifier, timeline, major, segmentBytes, history, historyFile, path, segments };
}

/** The text was made of bytes in one of two ways; the name tells in which. */
function historyBytes(
  lineage: string,
  { systemIdentifier, timeline, history }: { systemIdentifier: string; timeline: number; history?: string | undefined },
): Buffer | undefined | 'other' {
  if (history === undefined)
    return lineage === lineageOf({ systemIdentifier, timeline, history }) ? undefined : 'other';
  for (const encoding of ['utf8', 'latin1'] as const) {
    const bytes = Buffer.from(history, encoding);
    if (lineageOf({ systemIdentifier, timeline, history: bytes }) === lineage) return bytes;
  }
  return 'other';
}

const lineageForm = /^postgresql\/(\d{1,20})\/([0-9A-F]{8})(?:-[0-9a-f]{12})?$/;
const lineageSchema = z.string().regex(lineageForm);

/** Whose it is by its name alone; undefined if it is no timeline of PostgreSQL. */
export function readLineage(lineage: string): { systemIdentifier: string; timeline: number } | undefined {
  const { success } = lineageSchema.safeParse(lineage);
  const [, systemIdentifier, timeline] = lineageForm.exec(lineage) ?? [];
  if (!success || systemIdentifier === undefined || timeline === undefined) return undefined;
  return { systemIdentifier, timeline: Number.parseInt(timeline, 16) };
}

/** A timeline of which nothing is kept but backups: as if all before it had been written under it. */
export function unkeptTimeline(lineage: string, segmentBytes: number): KeptTimeline | undefined {
  const read = readLineage(lineage);
  if (read === undefined) return undefined;
  const { timeline } = read;
  return {
    ...read,
    lineage,
    major: undefined,
    segmentBytes,
    history: timeline === 1 ? firstHistory : { timeline, ancestors: [] },
    historyFile: undefined,
    path: [{ lineage, timeline, from: 0n, to: undefined }],
    segments: [],
  };
}

/** `2`, or `2-4f1c22ab90de` where copies of the server went their own ways under the same number. */
export function timelineName(one: KeptTimeline, all: readonly KeptTimeline[]): string {
  const isAlone = all.every((other) => other.timeline !== one.timeline || other.lineage === one.lineage);
  return isAlone ? String(one.timeline) : `${one.timeline}-${originOf(one)}`;
}

/** Empty for timeline 1. */
export function originOf({ lineage }: Pick<KeptTimeline, 'lineage'>): string {
  return lineage.split('/').at(-1)?.split('-')[1] ?? '';
}
