// Writes one branch of a journal into a repository: parts of the open segment as they come, then the sealed segment in their
// place, and gaps. Names are the writer's own, so two writers at once harm nobody; what both kept is compared by whoever
// reads. No lock of restic's is held: a writer lives for months, only adds, and removes nothing but parts whose bytes are
// stored a second time.
import assert from 'node:assert/strict';
import { AppError, isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { isMissing, type Repository } from '../repository.ts';
import { keepBranch, type StoredBranch } from './branches.ts';
import { streamStretch } from './chain.ts';
import { fillArea } from '../slab-pool.ts';
import { chainStart, chainText, putData, readDataHeader, type DataPlace } from './data-object.ts';
import type { FrameSealer } from './frame-sealer.ts';
import { objectMaxBytes } from './frames.ts';
import { listJournal, nextPlaceAfter, sealedSets, type JournalListing, type KeptStretch } from './listing.ts';
import { putHeader } from './object.ts';
import {
  compareRanks,
  copyEpoch,
  dataFileName,
  endOfName,
  gapFileName,
  isWriterId,
  lineageFolder,
  type DataName,
  type GapName,
  type JournalProblem,
  type JournalRank,
} from './object-name.ts';
import { comparePlaces, placeText, type JournalPlace } from './place.ts';
import { replaceObjects, type SegmentSource } from './replace.ts';

/** Longest part. */
export const partMaxBytes = objectMaxBytes;
/** As backups compress by default. */
const levelDefault = 1;
const problemsMax = 1000;
/** How many segments back a writer remembers what it sealed itself. */
const sealedHereMax = 1024;

export interface NewPart {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** What is known so far of the segment. */
  readonly facts: JsonObject;
}

export interface NewGap {
  readonly from: JournalPlace;
  readonly to: JournalPlace;
  readonly reason: string;
}

/** Calls are made one at a time; `sealSegment` of different segments may run together. */
export interface JournalWriter extends JournalRank {
  readonly branch: StoredBranch;
  /** What was there when it was opened. */
  readonly opened: JournalListing;
  /** Damaged or differing objects that were met. */
  readonly problems: readonly JournalProblem[];
  /** Where the next part goes: after the newest byte, verified unless it is sealed. Undefined while nothing is kept. */
  readonly end: JournalPlace | undefined;
  /** Parts of a segment that are known to be stored. */
  partCount(segment: number): number;
  /**
   * Goes to `end`, to the start of a later segment, or to the end of a gap. What is kept already is compared and passed
   * over; rejects with `JOURNAL_FORKED` if it differs.
   */
  putPart(part: NewPart, signal: AbortSignal): Promise<void>;
  /** Stores the bytes anew in few large parts; the small ones go. Nothing may lie beyond their end. */
  consolidate(source: SegmentSource, signal: AbortSignal): Promise<void>;
  /**
   * Stores a complete segment, then removes parts with the same bytes, whoever wrote them. If it is sealed already: nothing
   * to do if the bytes are the same, else rejects with `JOURNAL_FORKED`.
   */
  sealSegment(source: SegmentSource, signal: AbortSignal): Promise<void>;
  recordGap(gap: NewGap, signal: AbortSignal): Promise<void>;
}

export interface OpenJournalOptions extends JournalRank {
  readonly branch: StoredBranch;
  /** Whose it is: kept beside the branch, so that it can be told which journals belong to a component. */
  readonly family?: string | undefined;
  /** zstd. */
  readonly level?: number | undefined;
  /** Of the repository; the caller closes it. */
  readonly sealer: FrameSealer;
  readonly signal: AbortSignal;
}

/**
 * Looks at what is kept and verifies the parts of the newest segment. Rejects with `JOURNAL_FORKED` if the lineage is known
 * with another description, with `JOURNAL_FENCED` if a writer of a higher rank was there.
 */
export async function openJournal(repository: Repository, options: OpenJournalOptions): Promise<JournalWriter> {
  const { branch, family, epoch, writer, level = levelDefault, sealer, signal } = options;
  assert.ok(isWriterId(writer), `'${writer}' is no id of a writer`);
  assert.ok(branch.segmentBytes > 0 && branch.lineage.length <= 512);
  const rank = { epoch, writer };
  await keepBranch(repository, { branch, rank, family }, signal);
  const opened = await listJournal(repository, branch, signal);
  await refuseOutranked(repository, { opened, rank }, signal);
  const opening = { repository, branch, rank, level: Math.max(1, level), sealer, opened };
  const journal = new Writer(opening);
  await journal.begin(signal);
  return journal;
}

/** Readers would pass over what is written under a lower rank. The epoch of a lease is higher, unless leases were lost. */
async function refuseOutranked(
  repository: Repository,
  { opened, rank }: { readonly opened: JournalListing; readonly rank: JournalRank },
  signal: AbortSignal,
): Promise<void> {
  const { lineage, stretches } = opened;
  // Copies rank lowest by intent.
  if (rank.epoch === copyEpoch) return;
  for (const data of stretches.at(-1)?.objects ?? []) {
    if (compareRanks(data, rank) <= 0 || !(await isGenuine(repository, { lineage, data }, signal))) continue;
    throw new AppError(
      'JOURNAL_FENCED',
      `a receiver with the epoch ${data.epoch} wrote to ${lineage}; this one has ${rank.epoch}`,
      { hint: 'Stop the other receiver, then start this one again.' },
    );
  }
}

async function isGenuine(repository: Repository, place: DataPlace, signal: AbortSignal): Promise<boolean> {
  try {
    await readDataHeader(repository, place, signal);
    return true;
  } catch (error) {
    if (isMissing(error) || isAppError(error, 'REPOSITORY_DAMAGED')) return false;
    throw error;
  }
}

/** The stretch that parts are added to. */
interface OpenStretch {
  readonly segment: number;
  readonly from: number;
  to: number;
  chain: ReturnType<typeof chainStart>;
}

interface Opening {
  readonly repository: Repository;
  readonly branch: StoredBranch;
  readonly rank: JournalRank;
  readonly level: number;
  readonly sealer: FrameSealer;
  readonly opened: JournalListing;
}

class Writer implements JournalWriter {
  readonly #opening: Opening;
  readonly #problems: JournalProblem[] = [];
  /** Objects of segments that are not known to be sealed, and own sealed ones since it was opened. */
  readonly #objects = new Map<number, DataName[]>();
  readonly #gaps: Pick<GapName, 'from' | 'to'>[];
  readonly #sealedHere: number[] = [];
  #open: OpenStretch | undefined;
  #end: JournalPlace | undefined;

  constructor(opening: Opening) {
    this.#opening = opening;
    this.#gaps = [...opening.opened.gaps];
    for (const { segment, objects } of opening.opened.stretches)
      this.#objects.set(segment, [...(this.#objects.get(segment) ?? []), ...objects]);
  }

  get branch(): StoredBranch {
    return this.#opening.branch;
  }
  get epoch(): number {
    return this.#opening.rank.epoch;
  }
  get writer(): string {
    return this.#opening.rank.writer;
  }
  get opened(): JournalListing {
    return this.#opening.opened;
  }
  get problems(): readonly JournalProblem[] {
    return this.#problems;
  }
  get end(): JournalPlace | undefined {
    return this.#end;
  }

  partCount(segment: number): number {
    return (this.#objects.get(segment) ?? []).filter(({ kind }) => kind === 'part').length;
  }

  async begin(signal: AbortSignal): Promise<void> {
    const newest = this.opened.stretches.at(-1);
    if (newest === undefined) return;
    if (!newest.isSealed) await this.#load(newest, signal);
    this.#reach(nextPlaceAfter({ ...newest, to: this.#open?.to ?? newest.to }, this.branch.segmentBytes));
  }

  #reach(place: JournalPlace): void {
    if (this.#end === undefined || comparePlaces(place, this.#end) > 0) this.#end = place;
  }

  /** Reads what is kept of a stretch, to go on from its last good byte. */
  async #load(stretch: KeptStretch, signal: AbortSignal): Promise<OpenStretch> {
    const { segment, from } = stretch;
    const open: OpenStretch = { segment, from, to: from, chain: chainStart() };
    for await (const piece of this.#stream(stretch, signal)) {
      open.chain.update(piece);
      open.to += piece.length;
    }
    this.#open = open;
    return open;
  }

  #stream(stretch: KeptStretch, signal: AbortSignal): AsyncGenerator<Buffer> {
    const onProblem = (problem: JournalProblem): void => this.#tell(problem);
    return streamStretch(this.#opening.repository, { lineage: this.branch.lineage, stretch, signal, onProblem });
  }

  #tell(problem: JournalProblem): void {
    if (this.#problems.length >= problemsMax) return;
    if (!this.#problems.some(({ name, message }) => name === problem.name && message === problem.message))
      this.#problems.push(problem);
  }

  async putPart(part: NewPart, signal: AbortSignal): Promise<void> {
    const { segment, offset, bytes, facts } = part;
    assert.ok(bytes.length > 0 && bytes.length <= partMaxBytes, `a part of ${bytes.length} bytes`);
    const open = await this.#stretchAt({ segment, offset }, signal);
    const kept = Math.min(open.to - offset, bytes.length);
    if (kept > 0) await this.#compareKept(open, { segment, offset, bytes: bytes.subarray(0, kept) }, signal);
    const rest = bytes.subarray(kept);
    if (rest.length === 0) return;
    this.#refuseSealed(open);
    const { repository, rank, branch, level, sealer } = this.#opening;
    const place = { kind: 'part' as const, segment, offset: open.to, lengthBytes: rest.length, segmentEnd: undefined };
    const name = lineageFolder(repository, branch.lineage) + dataFileName({ ...place, ...rank });
    const data = { ...place, ...rank, name };
    using slab = await sealer.take(rest.length);
    fillArea(slab.memory).set(rest);
    const chain = open.chain.copy().update(rest);
    const chains = { before: chainText(open.chain), through: chainText(chain) };
    const object = { lineage: branch.lineage, data, start: open.from, slab, ...chains, facts, level, sealer };
    const stored = await putData(repository, object, signal);
    open.chain = chain;
    open.to += rest.length;
    this.#add(stored);
    this.#reach({ segment, offset: open.to });
  }

  /** A sealed segment says that nothing follows within it. */
  #refuseSealed({ segment, from, to }: OpenStretch): void {
    const sets = sealedSets(this.#objects.get(segment) ?? []);
    if (sets.some((set) => set.from === from && set.end === to))
      throw forked(this.branch, { from: { segment, offset: to }, toOffset: Infinity });
  }

  #add(data: DataName): void {
    const objects = (this.#objects.get(data.segment) ?? []).filter(({ name }) => name !== data.name);
    this.#objects.set(data.segment, [...objects, data]);
  }

  /** The stretch that holds `offset` or ends there; a new one where one may begin. */
  async #stretchAt({ segment, offset }: JournalPlace, signal: AbortSignal): Promise<OpenStretch> {
    const open = this.#open;
    const isThere = (each: { from: number; to: number }): boolean => each.from <= offset && each.to >= offset;
    if (open?.segment === segment && isThere(open)) return open;
    const stretch = this.#stretches(segment).findLast(isThere);
    if (stretch !== undefined && (stretch.from < offset || stretch.to > offset)) {
      const loaded = await this.#load(stretch, signal);
      assert.ok(isThere(loaded), `segment ${segment} is verified up to ${loaded.to}, a part begins at ${offset}`);
      return loaded;
    }
    const isAfterGap = this.#gaps.some(({ to }) => to.segment === segment && to.offset === offset);
    assert.ok(offset === 0 || isAfterGap, `a part at ${placeText({ segment, offset })} goes on from nothing`);
    return (this.#open = { segment, from: offset, to: offset, chain: chainStart() });
  }

  #stretches(segment: number): KeptStretch[] {
    const objects = (this.#objects.get(segment) ?? []).toSorted((left, right) => left.offset - right.offset);
    const stretches: { segment: number; from: number; to: number; isSealed: boolean; objects: DataName[] }[] = [];
    for (const data of objects) {
      const last = stretches.at(-1);
      if (last === undefined || data.offset > last.to)
        stretches.push({ segment, from: data.offset, to: endOfName(data), isSealed: false, objects: [data] });
      else {
        last.objects.push(data);
        last.to = Math.max(last.to, endOfName(data));
      }
    }
    return stretches;
  }

  async #compareKept(
    open: OpenStretch,
    { segment, offset, bytes }: Omit<NewPart, 'facts'>,
    signal: AbortSignal,
  ): Promise<void> {
    const stretch = this.#stretches(segment).find(({ from }) => from === open.from);
    assert.ok(stretch !== undefined);
    let at = stretch.from;
    for await (const piece of this.#stream(stretch, signal)) {
      const from = Math.max(at, offset);
      const to = Math.min(at + piece.length, offset + bytes.length);
      if (from < to) {
        const isSame = piece.subarray(from - at, to - at).equals(bytes.subarray(from - offset, to - offset));
        if (!isSame) throw forked(this.branch, { from: { segment, offset: from }, toOffset: to });
      }
      at += piece.length;
    }
    assert.ok(at >= offset + bytes.length, 'what was verified before is still there');
  }

  async consolidate(source: SegmentSource, signal: AbortSignal): Promise<void> {
    await this.#replace('part', source, signal);
  }

  async sealSegment(source: SegmentSource, signal: AbortSignal): Promise<void> {
    await this.#replace('segment', source, signal);
    if (this.#open?.segment === source.segment) this.#open = undefined;
    this.#reach({ segment: source.segment + 1, offset: 0 });
    this.#sealedHere.push(source.segment);
    if (this.#sealedHere.length > sealedHereMax) this.#objects.delete(this.#sealedHere.shift() ?? -1);
  }

  async #replace(kind: DataName['kind'], source: SegmentSource, signal: AbortSignal): Promise<void> {
    const { segment, from = 0, sizeBytes } = source;
    assert.ok(from < sizeBytes, `segment ${segment} would be empty`);
    const known = (this.#objects.get(segment) ?? []).filter(
      // What begins at the end would have to go on from here.
      (data) => data.offset <= sizeBytes && endOfName(data) > from,
    );
    const { repository, branch, rank, level, sealer } = this.#opening;
    const { added, removed } = await replaceObjects(repository, {
      kind,
      source,
      known,
      branch,
      rank,
      level,
      sealer,
      signal,
      onProblem: (problem) => this.#tell(problem),
    });
    for (const data of added) this.#add(data);
    const gone = new Set(removed.map(({ name }) => name));
    const objects = this.#objects.get(segment) ?? [];
    this.#objects.set(
      segment,
      objects.filter(({ name }) => !gone.has(name)),
    );
  }

  async recordGap({ from, to, reason }: NewGap, signal: AbortSignal): Promise<void> {
    assert.ok(comparePlaces(from, to) < 0, `a gap from ${placeText(from)} to ${placeText(to)}`);
    const isKnown = this.#gaps.some((gap) => comparePlaces(gap.from, from) === 0 && comparePlaces(gap.to, to) === 0);
    if (!isKnown) {
      const { repository, branch, rank } = this.#opening;
      const { lineage } = branch;
      const name = lineageFolder(repository, lineage) + gapFileName({ from, to, ...rank });
      await putHeader(repository, { kind: 'gap', name, subject: lineage, rank, body: { reason } }, signal);
      this.#gaps.push({ from, to });
    }
    this.#reach(to);
  }
}

function forked(
  { lineage }: StoredBranch,
  { from, toOffset }: { readonly from: JournalPlace; readonly toOffset: number },
): AppError {
  return new AppError(
    'JOURNAL_FORKED',
    toOffset === Infinity
      ? `segment ${from.segment} of ${lineage} is sealed with ${from.offset} bytes, but goes on`
      : `other bytes are kept of segment ${from.segment} of ${lineage}, between offsets ${from.offset} and ${toOffset}`,
    { hint: 'Find out which server is the right one; give the other a repository of its own.' },
  );
}
