// Whether what a journal lost cuts its newest changes off from every backup of a repository.
import { listJournal } from '../../repository/journal/listing.ts';
import { readBranches } from '../../repository/journal/branches.ts';
import { readGap } from '../../repository/journal/read.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { JournalGap, JournalPosition } from '../../sources/journal.ts';
import { findBases } from './bases.ts';
import { comparePositions } from './positions.ts';
import { lookAtSpool } from './spool-look.ts';

export interface LostBasesRequest {
  readonly family: string;
  /** Of the component. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Gaps may not have been shipped yet. */
  readonly spoolFolder: string;
}

/** The reason of the newest gap if no backup was completed behind it; undefined if there is none, or no gap. */
export async function gapBehindBases(
  repository: Repository,
  { family, snapshots, spoolFolder }: LostBasesRequest,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { branches } = await readBranches(repository, signal);
  const own = branches.filter(({ families }) => families.length === 0 || families.includes(family));
  const newest = own.at(-1);
  if (newest === undefined) return undefined;
  const gap = await newestGap(repository, { newest, spoolFolder }, signal);
  if (gap === undefined) return undefined;
  const bases = await findBases(repository, snapshots, { signal });
  const isBehind = bases.some(({ lineage, to }) => lineage === newest.lineage && comparePositions(gap.to, to) <= 0);
  return isBehind ? undefined : gap.reason;
}

interface NewestGap {
  readonly to: JournalPosition;
  readonly reason: string;
}

async function newestGap(
  repository: Repository,
  { newest, spoolFolder }: { readonly newest: { lineage: string; segmentBytes: number }; readonly spoolFolder: string },
  signal: AbortSignal,
): Promise<NewestGap | undefined> {
  const { lineage } = newest;
  const { gaps, holes } = await listJournal(repository, newest, signal);
  const spooled: readonly JournalGap[] =
    (await lookAtSpool(spoolFolder))?.branches.find((branch) => branch.lineage === lineage)?.gaps ?? [];
  const found: NewestGap[] = [...spooled];
  const recorded = gaps.at(-1);
  if (recorded !== undefined) {
    const { reason } = await readGap(repository, { lineage, gap: recorded, signal });
    found.push({ to: recorded.to, reason });
  }
  const hole = holes.findLast(({ isRecorded }) => !isRecorded);
  if (hole !== undefined) found.push({ to: hole.to, reason: 'the journal has a hole that nobody recorded' });
  return found.toSorted((left, right) => comparePositions(left.to, right.to)).at(-1);
}
