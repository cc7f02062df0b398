// Decides which timeline is received next and from where: what is kept already against what the server's history says. Pure.
import type { JournalPosition, KeptBranch } from '../../journal.ts';
import { historyOf, isAncestor, lineageOf, readTimelineBranch, type Timeline, type TimelineAbout } from '../lineage.ts';
import { positionOf, type Lsn } from '../wal/lsn.ts';
import type { TimelineHistory } from '../wal/timeline-history.ts';

export interface ServerPlace extends Timeline {
  readonly segmentBytes: number;
  /** From where the server certainly has WAL. */
  readonly oldestLsn: Lsn;
}

export interface BranchChoice {
  readonly timeline: number;
  /** Where a branch begins of which nothing is kept yet. */
  readonly firstSegment: number;
}

/** `kept`: all branches that are known, of other servers too. */
export function chooseBranch(server: ServerPlace, kept: readonly KeptBranch[]): BranchChoice {
  const { timeline, segmentBytes, oldestLsn } = server;
  const history = historyOf(server);
  const own = ownBranches(server.systemIdentifier, kept);
  const at = (segment: number): BranchChoice => ({
    timeline: timelineOfSegment(history, segment, segmentBytes),
    firstSegment: segment,
  });
  const lineage = lineageOf(server);
  const same = own.find(({ branch }) => branch.lineage === lineage);
  if (same !== undefined) return { timeline, firstSegment: same.branch.end.segment };
  const ancestors = own.filter(({ about }) => isAncestor(about, server));
  const nearest = ancestors.reduce<Own | undefined>(
    (best, one) => (best === undefined || one.about.timeline > best.about.timeline ? one : best),
    undefined,
  );
  if (nearest === undefined) return at(positionOf(oldestLsn, segmentBytes).segment);
  const { about, branch } = nearest;
  const left = history.ancestors.find((ancestor) => ancestor.timeline === about.timeline);
  const switchedAt = positionOf(left?.switchLsn ?? 0n, segmentBytes);
  // The child's first segment begins with a copy of the parent's, so the rest of that one is not needed.
  if (branch.end.segment < switchedAt.segment) return { timeline: about.timeline, firstSegment: branch.end.segment };
  return at(switchedAt.segment);
}

/** The newest timeline on the way to `history.timeline` that has this segment. */
export function timelineOfSegment(history: TimelineHistory, segment: number, segmentBytes: number): number {
  const older = history.ancestors.find(({ switchLsn }) => segment < positionOf(switchLsn, segmentBytes).segment);
  return older?.timeline ?? history.timeline;
}

/** Where the child left this timeline, if it is an ancestor. */
export function switchPosition(
  history: TimelineHistory,
  timeline: number,
  segmentBytes: number,
): JournalPosition | undefined {
  const ancestor = history.ancestors.find((one) => one.timeline === timeline);
  return ancestor === undefined ? undefined : positionOf(ancestor.switchLsn, segmentBytes);
}

/** A kept timeline that descends from the server's: then the server is one that others left behind. */
export function descendantOf(server: Timeline, kept: readonly KeptBranch[]): number | undefined {
  const ofServer = { timeline: server.timeline, history: server.history?.toString('latin1') };
  const found = ownBranches(server.systemIdentifier, kept).find(({ about }) => {
    if (about.timeline <= server.timeline || about.history === undefined) return false;
    const { systemIdentifier, timeline, history } = about;
    return isAncestor(ofServer, { systemIdentifier, timeline, history: Buffer.from(history) });
  });
  return found?.about.timeline;
}

interface Own {
  readonly branch: KeptBranch;
  readonly about: TimelineAbout;
}

function ownBranches(systemIdentifier: string, kept: readonly KeptBranch[]): Own[] {
  return kept.flatMap((branch) => {
    const about = readTimelineBranch(branch);
    return about?.systemIdentifier === systemIdentifier ? [{ branch, about }] : [];
  });
}
