// Reads the journals of one repository: the side that restores. Listings are kept for a while and facts for as long as they can't
// change, since whoever looks for a recovery point asks for many.
import { AppError, isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { readBranches, type StoredBranch } from '../../repository/journal/branches.ts';
import {
  listJournal,
  nextPlaceAfter,
  startOf,
  type JournalListing,
  type KeptStretch,
} from '../../repository/journal/listing.ts';
import { readFacts, readSegment, type SegmentRequest } from '../../repository/journal/read.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalReader, KeptBranch, KeptSegment } from '../../sources/journal.ts';

/** How many facts of sealed segments are remembered: two weeks of a busy server's. */
const factsMax = 20_000;

export interface ReaderOptions {
  /** Only branches of this component are listed, and those that name none. */
  readonly family?: string | undefined;
}

export function readJournals(repository: Repository, { family }: ReaderOptions = {}): JournalReader {
  const facts = new Map<string, JsonObject>();
  const listings = new Map<string, JournalListing>();
  const known = new Map<string, StoredBranch>();

  async function list(lineage: string, signal: AbortSignal): Promise<JournalListing> {
    const listing = await listJournal(repository, await branchOf(lineage, signal), signal);
    listings.set(lineage, listing);
    return listing;
  }

  async function branchOf(lineage: string, signal: AbortSignal): Promise<StoredBranch> {
    const branch = known.get(lineage) ?? (await readBranches(repository, signal, lineage)).branches[0];
    if (branch === undefined) throw notKept(repository, lineage);
    known.set(lineage, branch);
    return branch;
  }

  /** The listing that has the segment: the one at hand, or a new one. */
  async function listingWith(lineage: string, segment: number, signal: AbortSignal): Promise<JournalListing> {
    const before = listings.get(lineage);
    if (before?.stretches.some((stretch) => stretch.segment === segment && stretch.isSealed) === true) return before;
    return list(lineage, signal);
  }

  return {
    async branches(signal) {
      const kept: KeptBranch[] = [];
      for (const { lineage, segmentBytes, about, families } of (await readBranches(repository, signal)).branches) {
        if (family !== undefined && families.length > 0 && !families.includes(family)) continue;
        known.set(lineage, { lineage, segmentBytes, about });
        const listing = await list(lineage, signal);
        const extent = extentOf(listing);
        if (extent !== undefined) kept.push({ lineage, segmentBytes, about, ...extent });
      }
      return kept;
    },

    async segments(lineage, signal) {
      const { stretches } = await list(lineage, signal);
      return stretches.filter(beginsAtStart).map(asKept);
    },

    async facts(lineage, segment, signal) {
      const key = `${segment} ${lineage}`;
      const before = facts.get(key);
      if (before !== undefined) return before;
      const listing = await listingWith(lineage, segment, signal);
      const found = await readFacts(repository, listing, { segment, signal });
      // Those of the open segment still change.
      const isSealed = listing.stretches.some((stretch) => stretch.segment === segment && stretch.isSealed);
      if (isSealed) remember(facts, key, found);
      return found;
    },

    async read(lineage, segment, signal) {
      const listing = await listingWith(lineage, segment, signal);
      if (stretchOf(listing, segment) === undefined) throw notKept(repository, `segment ${segment} of ${lineage}`);
      return (await readSegment(repository, listing, { segment, signal })).bytes;
    },

    async readOn(place, signal) {
      // The listing at hand will do: who follows a journal has just asked for it.
      const before = listings.get(place.lineage);
      const listing = before && stretchOf(before, place.segment) ? before : await list(place.lineage, signal);
      return readMore(repository, listing, { ...place, signal });
    },
  };
}

/** Undefined if nothing is kept. */
function extentOf(listing: JournalListing): Pick<KeptBranch, 'start' | 'end'> | undefined {
  const start = startOf(listing);
  const last = listing.stretches.at(-1);
  return start && last && { start, end: endOfStretch(last) };
}

function stretchOf({ stretches }: JournalListing, segment: number): KeptStretch | undefined {
  return stretches.find((one) => one.segment === segment && beginsAtStart(one));
}

/** The whole of it where what is kept does not go on from what is known. */
async function readMore(
  repository: Repository,
  listing: JournalListing,
  request: SegmentRequest & { readonly known: Buffer },
): Promise<Buffer> {
  const { segment, known } = request;
  const stretch = stretchOf(listing, segment);
  if (stretch === undefined) throw notKept(repository, `segment ${segment} of ${listing.lineage}`);
  if (stretch.to <= known.length) return known;
  try {
    const { bytes, isComplete } = await readSegment(repository, listing, request);
    if (isComplete) return bytes;
  } catch (error) {
    if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
  }
  return (await readSegment(repository, listing, { ...request, known: undefined })).bytes;
}

const beginsAtStart = ({ from }: KeptStretch): boolean => from === 0;

const asKept = ({ segment, to, isSealed }: KeptStretch): KeptSegment => ({ segment, sizeBytes: to, isSealed });

/** A full segment that is not sealed yet ends in itself: it still has to be sealed. */
function endOfStretch(stretch: KeptStretch) {
  return stretch.isSealed ? nextPlaceAfter(stretch, Infinity) : { segment: stretch.segment, offset: stretch.to };
}

function remember(facts: Map<string, JsonObject>, key: string, found: JsonObject): void {
  facts.set(key, found);
  const [oldest] = facts.keys();
  if (facts.size > factsMax && oldest !== undefined) facts.delete(oldest);
}

function notKept({ store }: Repository, what: string): AppError {
  return new AppError('NOT_FOUND', `${store.properties.location} does not hold ${what}`, {
    hint: 'Choose an instant within what is kept, or another repository.',
  });
}
