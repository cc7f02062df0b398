// Copies journals from one repository to another: what the target lacks is read, verified and sealed anew under its keys.
// Sealed segments first, then what there is of open ones. Copies rank below whoever receives into the target himself.
import { randomBytes } from 'node:crypto';
import { AppError, isAppError, messageOf } from '../../base/errors.ts';
import { acquireLock } from '../lock.ts';
import { damaged, isMissing, type Repository } from '../repository.ts';
import { hasBranches, readBranches, type ReadBranch } from './branches.ts';
import { streamStretch } from './chain.ts';
import { readDataHeader } from './data-object.ts';
import { listJournal, sealedSets, type JournalListing, type KeptStretch, type RecordedGap } from './listing.ts';
import { copyEpoch, lineageFolder, type JournalProblem } from './object-name.ts';
import { comparePlaces, type JournalPlace } from './place.ts';
import { readFacts, readGap } from './read.ts';
import type { SegmentSource } from './replace.ts';
import { FrameSealer } from './frame-sealer.ts';
import { openJournal, type JournalWriter } from './writer.ts';

export interface CopyJournalsOptions {
  /** All if absent. */
  readonly lineages?: readonly string[] | undefined;
  /** By lineage: what lies before it the target does not need, and the next trim there would remove it again. */
  readonly floors?: ReadonlyMap<string, JournalPlace> | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: JournalCopyProgress) => void) | undefined;
}

export interface JournalCopyProgress {
  readonly segments: number;
  /** Plain bytes. */
  readonly bytes: number;
}

export interface JournalCopyResult extends JournalCopyProgress {
  /** What could not be copied, and objects that were passed over. */
  readonly problems: readonly JournalProblem[];
}

/**
 * Goes on where an earlier one was cut short. What is damaged in the source is told and left out. Rejects with
 * `JOURNAL_FORKED` if both sides hold other bytes for the same place.
 */
export async function copyJournals(
  source: Repository,
  target: Repository,
  options: CopyJournalsOptions,
): Promise<JournalCopyResult> {
  const { lineages, lockWaitMs: waitMs = 0 } = options;
  // Most repositories have none, and need no lock for that.
  if (!(await hasBranches(source, options.signal))) return { segments: 0, bytes: 0, problems: [] };
  const lockOptions = { isExclusive: false, signal: options.signal, waitMs };
  // Nobody trims either side meanwhile.
  await using sourceLock = await acquireLock(source, lockOptions);
  await using targetLock = await acquireLock(target, lockOptions);
  const signal = AbortSignal.any([options.signal, sourceLock.signal, targetLock.signal]);
  const { branches, problems } = await readBranches(source, signal);
  await using sealer = new FrameSealer(target);
  const run: Run = {
    source,
    target,
    sealer,
    signal,
    options,
    problems: [...problems],
    progress: { segments: 0, bytes: 0 },
  };
  for (const branch of branches) {
    if (lineages !== undefined && !lineages.includes(branch.lineage)) continue;
    await copyBranch(run, branch);
  }
  return { ...run.progress, problems: run.problems };
}

/** What `copyJournals` would copy, by the names of what is there: takes no lock, reads no content, writes nothing. */
export async function decideJournalCopy(
  source: Repository,
  target: Repository,
  { lineages, floors, signal }: Pick<CopyJournalsOptions, 'lineages' | 'floors' | 'signal'>,
): Promise<JournalCopyResult> {
  const { branches, problems } = await readBranches(source, signal);
  const decided = { segments: 0, bytes: 0 };
  for (const branch of branches) {
    if (lineages !== undefined && !lineages.includes(branch.lineage)) continue;
    const from = await listJournal(source, branch, signal);
    const to = await listJournal(target, branch, signal);
    for (const stretch of missingIn(to, from, floors).stretches) {
      decided.segments += 1;
      decided.bytes += stretch.to - stretch.from;
    }
  }
  return { ...decided, problems };
}

interface Run {
  readonly source: Repository;
  readonly target: Repository;
  readonly sealer: FrameSealer;
  readonly signal: AbortSignal;
  readonly options: CopyJournalsOptions;
  readonly problems: JournalProblem[];
  readonly progress: { segments: number; bytes: number };
}

async function copyBranch(run: Run, { lineage, segmentBytes, about, families }: ReadBranch): Promise<void> {
  const { source, target, sealer, signal } = run;
  const writer = await openJournal(target, {
    branch: { lineage, segmentBytes, about },
    family: families[0],
    epoch: copyEpoch,
    writer: randomBytes(8).toString('hex'),
    sealer,
    signal,
  });
  const from = await listJournal(source, { lineage, segmentBytes }, signal);
  await refuseFork(run, from, writer.opened);
  const missing = missingIn(writer.opened, from, run.options.floors);
  for (const gap of missing.gaps) await copyGap(run, { lineage, gap, writer });
  for (const stretch of missing.stretches) await copyStretch(run, { from, stretch, writer });
  run.problems.push(...writer.problems);
}

interface MissingParts {
  readonly gaps: readonly RecordedGap[];
  /** Sealed ones first. */
  readonly stretches: readonly KeptStretch[];
}

/** What the source has, the target needs, and has not. Pure. */
function missingIn(to: JournalListing, from: JournalListing, floors: CopyJournalsOptions['floors']): MissingParts {
  // As trim does it: the newest segment stays whatever the floor.
  const first = Math.min(floors?.get(from.lineage)?.segment ?? 0, from.stretches.at(-1)?.segment ?? 0);
  const gaps = from.gaps.filter((gap) => comparePlaces(gap.to, { segment: first, offset: 0 }) > 0 && isNewGap(gap, to));
  const stretches = from.stretches.filter((stretch) => stretch.segment >= first && !isThere(stretch, to));
  return { gaps, stretches: stretches.toSorted((left, right) => Number(right.isSealed) - Number(left.isSealed)) };
}

/** The newest segment that both hold sealed must be the same, or what follows it here does not belong behind it there. */
async function refuseFork({ source, target, signal }: Run, from: JournalListing, to: JournalListing): Promise<void> {
  const sealedThere = new Map(to.stretches.filter(({ isSealed }) => isSealed).map((each) => [each.segment, each]));
  const here = from.stretches.findLast(({ isSealed, segment }) => isSealed && sealedThere.has(segment));
  const there = here && sealedThere.get(here.segment);
  if (here === undefined || there === undefined) return;
  const { lineage } = from;
  const left = await hashOf(source, { lineage, stretch: here }, signal);
  const right = await hashOf(target, { lineage, stretch: there }, signal);
  if (left === undefined || right === undefined || left === right) return;
  throw new AppError(
    'JOURNAL_FORKED',
    `segment ${here.segment} of ${lineage} is another in ${target.store.properties.location}`,
    { hint: 'Find out which server is the right one; copy the other journal to a repository of its own.' },
  );
}

/** Of all bytes of a sealed stretch, as the header of its last piece has it; undefined if that can't be read. */
async function hashOf(
  repository: Repository,
  { lineage, stretch }: { readonly lineage: string; readonly stretch: KeptStretch },
  signal: AbortSignal,
): Promise<string | undefined> {
  const data = sealedSets(stretch.objects)
    .find(({ end }) => end === stretch.to)
    ?.pieces.at(-1);
  if (data === undefined) return undefined;
  try {
    return (await readDataHeader(repository, { lineage, data }, signal)).through;
  } catch (error) {
    if (isMissing(error) || isAppError(error, 'REPOSITORY_DAMAGED')) return undefined;
    throw error;
  }
}

/** Where the target has bytes of its own within the gap it is none there. */
function isNewGap({ from, to }: RecordedGap, { gaps, stretches }: JournalListing): boolean {
  const isKnown = gaps.some((gap) => comparePlaces(gap.from, from) === 0 && comparePlaces(gap.to, to) === 0);
  const isFilled = stretches.some(
    (each) =>
      comparePlaces({ segment: each.segment, offset: each.from }, to) < 0 &&
      comparePlaces({ segment: each.segment, offset: each.to }, from) > 0,
  );
  return !isKnown && !isFilled;
}

async function copyGap(
  { source, signal, problems }: Run,
  { lineage, gap, writer }: { readonly lineage: string; readonly gap: RecordedGap; readonly writer: JournalWriter },
): Promise<void> {
  try {
    const { reason } = await readGap(source, { lineage, gap, signal });
    await writer.recordGap({ from: gap.from, to: gap.to, reason }, signal);
  } catch (error) {
    if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    problems.push({ name: gap.name, message: messageOf(error.cause ?? error) });
  }
}

const isThere = (stretch: KeptStretch, { stretches }: JournalListing): boolean =>
  stretches.some(
    ({ segment, from, to, isSealed }) =>
      segment === stretch.segment && from <= stretch.from && to >= stretch.to && (isSealed || !stretch.isSealed),
  );

interface StretchCopy {
  readonly from: JournalListing;
  readonly stretch: KeptStretch;
  readonly writer: JournalWriter;
}

async function copyStretch(run: Run, { from, stretch, writer }: StretchCopy): Promise<void> {
  const { source, signal, problems } = run;
  const { lineage } = from;
  try {
    const sizeBytes = stretch.isSealed ? stretch.to : await verifiedEnd(run, lineage, stretch);
    if (sizeBytes === stretch.from) return;
    await using reader = new StretchReader(run, lineage, stretch);
    const content: SegmentSource = {
      segment: stretch.segment,
      from: stretch.from,
      sizeBytes,
      facts: await readFacts(source, from, { segment: stretch.segment, from: stretch.from, signal }),
      read: (offset, into) => reader.read(offset, into),
    };
    if (stretch.isSealed) await writer.sealSegment(content, signal);
    else await writer.consolidate(content, signal);
    run.progress.segments += 1;
    run.progress.bytes += sizeBytes - stretch.from;
    run.options.onProgress?.(run.progress);
  } catch (error) {
    if (isAppError(error, 'REPOSITORY_DAMAGED')) problems.push(problemOf(run, { lineage, error }));
    // Sealed or consolidated meanwhile by its receiver: the next copy takes it.
    else if (!isMissing(error)) throw error;
  }
}

function problemOf(
  { source }: Run,
  { lineage, error }: { readonly lineage: string; readonly error: AppError },
): JournalProblem {
  return { name: lineageFolder(source, lineage), message: error.message };
}

/** How far an open stretch can be verified; what is wrong with it is told. */
async function verifiedEnd({ source, signal, problems }: Run, lineage: string, stretch: KeptStretch): Promise<number> {
  let end = stretch.from;
  const onProblem = (problem: JournalProblem): unknown => problems.push(problem);
  for await (const piece of streamStretch(source, { lineage, stretch, signal, onProblem })) end += piece.length;
  return end;
}

/** Reads a stretch from its beginning to its end, perhaps several times, and holds one piece of it. */
class StretchReader implements AsyncDisposable {
  readonly #run: Run;
  readonly #lineage: string;
  readonly #stretch: KeptStretch;
  #pieces: AsyncGenerator<Buffer> | undefined;
  #piece: Buffer = Buffer.alloc(0);
  #offset = 0;
  #problem: JournalProblem | undefined;

  constructor(run: Run, lineage: string, stretch: KeptStretch) {
    this.#run = run;
    this.#lineage = lineage;
    this.#stretch = stretch;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    if (this.#pieces === undefined || offset < this.#offset) await this.#restart();
    for (let done = 0; done < into.length;) {
      const at = offset + done;
      if (at >= this.#offset + this.#piece.length) await this.#next();
      const part = this.#piece.subarray(at - this.#offset, offset + into.length - this.#offset);
      into.set(part, done);
      done += part.length;
    }
  }

  async #restart(): Promise<void> {
    await this.#pieces?.return(undefined);
    const { source, signal } = this.#run;
    const onProblem = (problem: JournalProblem): unknown => (this.#problem ??= problem);
    const options = { lineage: this.#lineage, stretch: this.#stretch, signal, onProblem };
    this.#pieces = streamStretch(source, options);
    this.#piece = Buffer.alloc(0);
    this.#offset = this.#stretch.from;
  }

  async #next(): Promise<void> {
    const next = await this.#pieces?.next();
    if (next?.value === undefined) {
      const { name, message } = this.#problem ?? {
        name: lineageFolder(this.#run.source, this.#lineage),
        message: `segment ${this.#stretch.segment} ends too early`,
      };
      throw damaged(name, new Error(message));
    }
    this.#offset += this.#piece.length;
    this.#piece = next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces?.return(undefined);
  }
}
