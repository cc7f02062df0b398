// What a repository keeps for a standby, as it was last looked at: which timeline it follows, and whether it can from where it is.
import { AppError } from '../../../base/errors.ts';
import type { JournalReader } from '../../journal.ts';
import { goalsOf } from '../recovery/choose-recovery.ts';
import { KeptSegments } from '../recovery/reach.ts';
import type { MapBase, ReplayMap } from '../recovery/replay-map.ts';
import { type KeptTimeline, unkeptTimeline } from '../recovery/timeline-tree.ts';
import { factLsn } from '../recovery/wal-library.ts';
import type { Lsn } from '../wal/lsn.ts';
import { lsnOf } from '../wal/lsn.ts';
import { segmentFactsSchema } from '../wal/segment-facts.ts';

export interface JournalView {
  /** The timeline that is followed. */
  readonly goal: KeptTimeline;
  readonly timelines: readonly KeptTimeline[];
  readonly kept: KeptSegments;
}

/** Where the repository can't be asked: of the timeline that a standby followed nothing is known but what it has itself. */
export function blindView({ lineage }: Pick<StandbyPlace, 'lineage'>, segmentBytes: number): JournalView {
  const goal = unkeptTimeline(lineage, segmentBytes);
  if (goal === undefined) throw new Error(`${lineage} is no timeline`);
  return { goal, timelines: [goal], kept: new KeptSegments([goal]) };
}

export interface StandbyMap {
  readonly view: JournalView;
  /** From which the timeline can be reached, newest position first; one at least. */
  readonly bases: readonly MapBase[];
}

/** Of several servers that one component was, the one that was backed up last. Rejects if nothing can be followed. */
export function standbyMap(map: ReplayMap): StandbyMap {
  const goals = goalsOf(map, { kind: 'latest' }).filter(({ bases }) => bases.length > 0);
  const [first, ...others] = goals;
  if (first === undefined) {
    throw new AppError('RECOVERY_TARGET_UNREACHABLE', 'no physical backup leads to the newest timeline', {
      hint: 'Take one with lifeboat backup, with the method physical.',
    });
  }
  const timeOf = ({ bases }: typeof first): number => Math.max(...bases.map((base) => base.consistentTimeUs ?? 0));
  const { timeline, bases } = others.reduce((best, one) => (timeOf(one) > timeOf(best) ? one : best), first);
  return { view: { goal: timeline, timelines: map.timelines, kept: map.kept }, bases };
}

/** The same timeline with what was added since. */
export async function withNewSegments(
  view: JournalView,
  journal: JournalReader,
  signal: AbortSignal,
): Promise<JournalView> {
  const { lineage } = view.goal;
  const segments = await journal.segments(lineage, signal);
  const timelines = view.timelines.map((one) => (one.lineage === lineage ? { ...one, segments } : one));
  return { goal: { ...view.goal, segments }, timelines, kept: new KeptSegments(timelines) };
}

/** Where a standby is. */
export interface StandbyPlace {
  /** The timeline that it followed. */
  readonly lineage: string;
  readonly lsn: Lsn;
}

/** Whether what it has replayed lies on the way: a failover may have left it behind on a branch that was given up. */
export function isOnWay({ goal }: JournalView, { lineage, lsn }: StandbyPlace): boolean {
  const stretch = goal.path.find((one) => one.lineage === lineage);
  return stretch !== undefined && (stretch.to === undefined || lsn <= stretch.to);
}

export interface JournalEnd {
  /** Behind the last whole record. */
  readonly lsn: Lsn;
  readonly lastCommitUs: number | undefined;
  /** The server had nothing more then. */
  readonly receivedUs: number | undefined;
}

/** Undefined while nothing of the timeline is kept. */
export async function journalEnd(
  { goal: { lineage, segments, segmentBytes } }: JournalView,
  journal: JournalReader,
  signal: AbortSignal,
): Promise<JournalEnd | undefined> {
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  const kept = lsnOf({ segment: last.segment, offset: last.sizeBytes }, segmentBytes);
  const facts = segmentFactsSchema.safeParse(await journal.facts(lineage, last.segment, signal)).data;
  const told = facts?.recordsEnd === undefined ? kept : factLsn(facts.recordsEnd);
  return {
    // What is told of an open segment may be ahead of the bytes of it that arrived.
    lsn: told < kept || facts?.isSwitched === true ? told : kept,
    lastCommitUs: facts?.times?.latest,
    receivedUs: told <= kept ? facts?.receivedTimeUs : undefined,
  };
}
