// Where a branch goes on if a repository holds more of it than the spool: a spool that is new, or one that was idle while another
// machine received.
import type { JsonObject } from '../../base/json.ts';
import { readBranches } from '../../repository/journal/branches.ts';
import { listJournal, startOf } from '../../repository/journal/listing.ts';
import { readFacts, readSegment } from '../../repository/journal/read.ts';
import type { Repository } from '../../repository/repository.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import type { JournalPosition } from '../../sources/journal.ts';
import { stretchSegmentsMax } from './branch-shipping.ts';
import { comparePositions, formatPosition, startOfSegment } from './positions.ts';
import type { SpoolBranch } from './spool-branch.ts';

export interface HeldElsewhere {
  readonly start: JournalPosition;
  readonly end: JournalPosition;
  /** Of the segment in which it ends, from its start. */
  readonly open: { readonly bytes: Buffer; readonly facts: JsonObject } | undefined;
}

/** Undefined if the repository holds nothing of it. */
export async function lookUp(
  repository: Repository,
  lineage: string,
  signal: AbortSignal,
): Promise<HeldElsewhere | undefined> {
  const [branch] = (await readBranches(repository, signal, lineage)).branches;
  if (branch === undefined) return undefined;
  const listing = await listJournal(repository, branch, signal);
  const start = startOf(listing);
  const last = listing.stretches.at(-1);
  if (start === undefined || last === undefined) return undefined;
  const { segment, from, isSealed } = last;
  const hole = listing.holes.find((each) => !each.isRecorded && each.from.segment > segment - stretchSegmentsMax);
  // Complete segments go side by side: when their receiver was lost an earlier one may not have arrived.
  if (hole !== undefined) return { start, end: startOfSegment(hole.from.segment), open: undefined };
  if (isSealed) return { start, end: startOfSegment(segment + 1), open: undefined };
  try {
    if (from > 0) return { start, end: startOfSegment(segment), open: undefined };
    const { bytes } = await readSegment(repository, listing, { segment, signal });
    const facts = await readFacts(repository, listing, { segment, signal });
    return { start, end: { segment, offset: bytes.length }, open: { bytes, facts } };
  } catch (error) {
    // Its parts are damaged: the server is asked for the whole segment.
    if (!isAppError(error, 'REPOSITORY_DAMAGED', 'NOT_FOUND')) throw error;
    return { start, end: startOfSegment(segment), open: undefined };
  }
}

/** Brings a spooled branch up to what is held elsewhere, if that is more. */
export async function catchUp(spooled: SpoolBranch, held: HeldElsewhere, signal: AbortSignal): Promise<void> {
  const { end, open } = held;
  if (spooled.end !== undefined && comparePositions(spooled.end, end) >= 0) return;
  await spooled.adopt(held, signal);
  if (open === undefined) return;
  const { segment } = end;
  const knownBytes = spooled.find(segment)?.endBytes ?? 0;
  if (knownBytes > 0) {
    await spooled.sync(signal);
    const known = Buffer.alloc(knownBytes);
    await using reader = await spooled.reader(segment);
    await reader.read(0, known);
    if (!known.equals(open.bytes.subarray(0, knownBytes))) throw forked(spooled, segment);
  }
  await spooled.append({ segment, offset: knownBytes }, open.bytes.subarray(knownBytes), signal);
  spooled.describe(segment, open.facts);
  await spooled.sync(signal);
}

function forked({ branch }: SpoolBranch, segment: number): AppError {
  return new AppError(
    'JOURNAL_FORKED',
    `spool and repository keep other bytes of ${branch.lineage} at ${formatPosition(startOfSegment(segment))}`,
    { hint: 'Find out which receiver took the journal of the right server; empty the spool of the other.' },
  );
}
