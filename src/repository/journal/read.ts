// Reads segments of a journal: whole ones, or what is there of the open one; and what headers say of them.
import { AppError, isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { z } from 'zod';
import { damaged, isMissing, type Repository } from '../repository.ts';
import { streamStretch } from './chain.ts';
import { readDataHeader } from './data-object.ts';
import { listJournal, sealedSets, type JournalListing, type KeptStretch, type RecordedGap } from './listing.ts';
import { readWhole } from './object.ts';
import { compareRanks, endOfName, lineageFolder, type DataName, type JournalProblem } from './object-name.ts';
import { placeText } from './place.ts';

export interface SegmentRequest {
  readonly segment: number;
  /** Where the stretch begins, if a gap divides the segment; the first one if absent. */
  readonly from?: number | undefined;
  /** The beginning of the stretch, as it was read before: it is not read again. */
  readonly known?: Buffer | undefined;
  readonly signal: AbortSignal;
}

export interface SegmentBytes {
  /** Offset of the first byte. */
  readonly from: number;
  readonly bytes: Buffer;
  /** False where less of an open segment could be verified than is listed. */
  readonly isComplete: boolean;
  /** Objects that were passed over: damaged, or outranked by others that differ. */
  readonly problems: readonly JournalProblem[];
}

/** Whoever seals removes parts; nobody seals one segment more often. */
const listingsMax = 3;

/**
 * Rejects with `NOT_FOUND` if it is not kept, with `REPOSITORY_DAMAGED` if a sealed one can't be verified to its end, or of
 * an open one not even the beginning.
 */
export async function readSegment(
  repository: Repository,
  listing: JournalListing,
  request: SegmentRequest,
): Promise<SegmentBytes> {
  return withFreshListing(repository, { listing, request }, async (stretch) => {
    const problems: JournalProblem[] = [];
    const { known = Buffer.alloc(0), signal } = request;
    const pieces: Buffer[] = known.length === 0 ? [] : [known];
    let bytes = known.length;
    const { lineage } = listing;
    const onProblem = (problem: JournalProblem): unknown => problems.push(problem);
    for await (const piece of streamStretch(repository, { lineage, stretch, known, signal, onProblem })) {
      pieces.push(piece);
      bytes += piece.length;
    }
    const { segment, from, to, isSealed } = stretch;
    const isComplete = from + bytes === to;
    if (!isComplete && (isSealed || bytes === 0)) throw unverified(repository, { listing, segment, problems });
    const [only] = pieces;
    return { from, bytes: pieces.length === 1 && only ? only : Buffer.concat(pieces, bytes), isComplete, problems };
  });
}

function unverified(
  repository: Repository,
  {
    listing,
    segment,
    problems,
  }: { readonly listing: JournalListing; readonly segment: number; readonly problems: readonly JournalProblem[] },
): AppError {
  const [first] = problems;
  const name = first?.name ?? lineageFolder(repository, listing.lineage);
  return damaged(name, new Error(`segment ${segment} can't be read: ${first?.message ?? 'nothing of it is there'}`));
}

/** Works on a stretch; if something of it is gone meanwhile, on what a new listing shows. */
export async function withFreshListing<Result>(
  repository: Repository,
  { listing, request }: { readonly listing: JournalListing; readonly request: SegmentRequest },
  work: (stretch: KeptStretch) => Promise<Result>,
): Promise<Result> {
  const { segment, from, signal } = request;
  let current = listing;
  for (let attempt = 1; ; attempt += 1) {
    const stretch = current.stretches.find(
      (each) => each.segment === segment && (from === undefined || each.from === from),
    );
    if (stretch === undefined) throw notKept(listing, segment);
    try {
      return await work(stretch);
    } catch (error) {
      if (!isMissing(error) || attempt === listingsMax) throw error;
      current = await listJournal(repository, listing, signal);
    }
  }
}

function notKept({ lineage, stretches }: JournalListing, segment: number): AppError {
  const [first, last] = [stretches[0]?.segment, stretches.at(-1)?.segment];
  const kept = first === undefined ? 'none is' : `${first} to ${last} are`;
  return new AppError('NOT_FOUND', `segment ${segment} of ${lineage} is not kept; ${kept}`, {
    hint: "Choose a recovery point within the journal's window, or another repository.",
  });
}

/** As they were given when the segment was sealed, or with its newest part. Reads a header, no payload. */
export async function readFacts(
  repository: Repository,
  listing: JournalListing,
  request: SegmentRequest,
): Promise<JsonObject> {
  return withFreshListing(repository, { listing, request }, async ({ objects, to, isSealed }) => {
    let failure: AppError | undefined;
    for (const data of holdersOfFacts({ objects, to, isSealed })) {
      try {
        return (await readDataHeader(repository, { lineage: listing.lineage, data }, request.signal)).facts;
      } catch (error) {
        if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
        failure ??= error;
      }
    }
    throw failure ?? notKept(listing, request.segment);
  });
}

/** Best first: the last piece of a sealed segment, else the part that reaches furthest. */
function holdersOfFacts({ objects, to, isSealed }: Pick<KeptStretch, 'objects' | 'to' | 'isSealed'>): DataName[] {
  const sealed = isSealed
    ? sealedSets(objects).flatMap(({ end, pieces }) => (end === to ? (pieces.at(-1) ?? []) : []))
    : [];
  const parts = objects
    .filter(({ kind }) => kind === 'part')
    .toSorted((left, right) => endOfName(right) - endOfName(left) || compareRanks(right, left));
  return [...sealed, ...parts];
}

const gapSchema = z.object({ reason: z.string() });

/** Why bytes are missing, and when that was found out. Rejects with `REPOSITORY_DAMAGED` if the gap is not what its name says. */
export async function readGap(
  repository: Repository,
  { lineage, gap, signal }: { readonly lineage: string; readonly gap: RecordedGap; readonly signal: AbortSignal },
): Promise<{ readonly reason: string; readonly timeMs: number }> {
  const { body, writtenAtMs } = await readWhole(repository, { kind: 'gap', name: gap.name, subject: lineage }, signal);
  try {
    return { ...gapSchema.parse(body), timeMs: writtenAtMs };
  } catch (error) {
    throw damaged(gap.name, error);
  }
}

export const gapText = ({ from, to }: Pick<RecordedGap, 'from' | 'to'>): string =>
  `${placeText(from)} to ${placeText(to)}`;
