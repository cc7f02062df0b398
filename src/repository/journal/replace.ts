// Stores a stretch of a segment in few large objects, as sealed or still open, and then removes the small ones that hold the
// same bytes. What holds other bytes stays where it is, for people to look at.
import { AppError, isAppError, messageOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { JsonObject } from '../../base/json.ts';
import { isMissing, type Repository } from '../repository.ts';
import type { StoredBranch } from './branches.ts';
import { Chain } from './chain.ts';
import { fillArea } from '../slab-pool.ts';
import { chainStart, chainText, doOverlap, putData, readDataHeader, type DataHeader } from './data-object.ts';
import type { FrameSealer } from './frame-sealer.ts';
import { frameBytes, objectMaxBytes } from './frames.ts';
import { sealedSets } from './listing.ts';
import {
  compareRanks,
  dataFileName,
  endOfName,
  lineageFolder,
  type DataName,
  type JournalProblem,
  type JournalRank,
} from './object-name.ts';

export interface SegmentSource {
  readonly segment: number;
  /** Offset of the first byte: 0 unless a gap precedes it. */
  readonly from?: number | undefined;
  /** Offset of the end. */
  readonly sizeBytes: number;
  readonly facts: JsonObject;
  /** Fills all of `into`, which has at most 1 MiB. */
  read(offset: number, into: Uint8Array): Promise<void>;
}

export interface Replacement {
  readonly kind: DataName['kind'];
  readonly source: SegmentSource;
  /** Objects that overlap the stretch, as far as the writer knows. */
  readonly known: readonly DataName[];
  readonly branch: StoredBranch;
  readonly rank: JournalRank;
  readonly level: number;
  readonly sealer: FrameSealer;
  readonly signal: AbortSignal;
  readonly onProblem: (problem: JournalProblem) => void;
}

export interface Replaced {
  readonly added: readonly DataName[];
  readonly removed: readonly DataName[];
}

/** Rejects with `JOURNAL_FORKED`, having stored nothing, if other bytes are kept for the place. */
export async function replaceObjects(repository: Repository, replacement: Replacement): Promise<Replaced> {
  const { kind, known, source } = replacement;
  // The bytes are read twice where there is something to compare: first for their hashes.
  const compared = known.length === 0 ? noneCompared : await compareKnown(repository, replacement);
  const { from = 0, sizeBytes } = source;
  const sets = sealedSets(compared.equal).filter((set) => set.from === from && set.end === sizeBytes);
  const isSealed = sets.length > 0;
  const added = isSealed ? [] : await putPieces(repository, replacement, compared.equal);
  const kept = new Set(added.map(({ name }) => name));
  const isSealing = isSealed || kind === 'segment';
  // A whole sealed segment stays; pieces that a dead writer left of one are as good as parts.
  const whole = new Set(sets.flatMap(({ pieces }) => pieces));
  const surplus = [...compared.equal, ...compared.damaged].filter(
    (data) => !kept.has(data.name) && !whole.has(data) && (isSealing || data.kind === 'part'),
  );
  return { added, removed: await removeObjects(repository, surplus, replacement) };
}

interface Compared {
  /** Hold the bytes of the source. */
  readonly equal: readonly DataName[];
  readonly damaged: readonly DataName[];
}

const noneCompared: Compared = { equal: [], damaged: [] };

async function compareKnown(repository: Repository, replacement: Replacement): Promise<Compared> {
  const { known, branch, source, signal, onProblem } = replacement;
  const chain = await hashSource(replacement);
  const headers = new Map<DataName, DataHeader>();
  const damaged: DataName[] = [];
  await forEachLimited(known, repository.store.properties.connectionsMax, async (data) => {
    try {
      headers.set(data, await readDataHeader(repository, { lineage: branch.lineage, data }, signal));
    } catch (error) {
      if (isMissing(error)) return;
      if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
      onProblem({ name: data.name, message: messageOf(error.cause ?? error) });
      damaged.push(data);
    }
  });
  const equal: DataName[] = [];
  for (const [data, header] of [...headers].toSorted(([left], [right]) => compareRanks(right, left))) {
    const message = chain.contradiction(header);
    if (message === undefined) equal.push(data);
    // Its chain begins behind a gap that was filled meanwhile: nothing can be said of it, so it stays.
    else if (header.start !== (source.from ?? 0)) onProblem({ name: data.name, message });
    // That a higher rank outvoted it was settled before; otherwise nobody has decided which bytes are right.
    else if (equal.some((each) => compareRanks(each, data) > 0 && doOverlap(each, data)))
      onProblem({ name: data.name, message });
    else throw forked(replacement, data);
  }
  // What a damaged object held beyond the end of this source is not stored again.
  return { equal, damaged: damaged.filter((data) => endOfName(data) <= source.sizeBytes) };
}

function forked({ branch, source }: Replacement, data: DataName): AppError {
  return new AppError(
    'JOURNAL_FORKED',
    `other bytes are kept of segment ${source.segment} of ${branch.lineage}, between offsets ${data.offset} and ${endOfName(data)}`,
    { hint: `Find out which server is the right one, and give the other a repository of its own; see ${data.name}.` },
  );
}

async function hashSource({ source, known, signal }: Replacement): Promise<Chain> {
  const { from = 0, sizeBytes } = source;
  const chain = new Chain({ from, objects: known });
  const memory = Buffer.allocUnsafe(Math.min(frameBytes, sizeBytes - from));
  for (let at = from; at < sizeBytes; at += frameBytes) {
    signal.throwIfAborted();
    const piece = memory.subarray(0, sizeBytes - at);
    await source.read(at, piece);
    chain.append(piece);
  }
  return chain;
}

async function readInto(
  bytes: Uint8Array,
  { source, offset, signal }: { readonly source: SegmentSource; readonly offset: number; readonly signal: AbortSignal },
): Promise<void> {
  for (let at = 0; at < bytes.length; at += frameBytes) {
    signal.throwIfAborted();
    await source.read(offset + at, bytes.subarray(at, at + frameBytes));
  }
}

/** Those of own rank that are stored with the same bytes already are not stored again. */
async function putPieces(
  repository: Repository,
  replacement: Replacement,
  equal: readonly DataName[],
): Promise<DataName[]> {
  const { kind, source, branch, rank, level, sealer, signal } = replacement;
  const { segment, from = 0, sizeBytes } = source;
  const folder = lineageFolder(repository, branch.lineage);
  const pieces: DataName[] = [];
  const chain = chainStart();
  for (let offset = from; offset < sizeBytes; offset += objectMaxBytes) {
    const lengthBytes = Math.min(objectMaxBytes, sizeBytes - offset);
    using slab = await sealer.take(lengthBytes);
    const bytes = fillArea(slab.memory).subarray(0, lengthBytes);
    await readInto(bytes, { source, offset, signal });
    const isLast = offset + lengthBytes === sizeBytes;
    const segmentEnd = kind === 'segment' ? sizeBytes : undefined;
    const place = { kind, segment, offset, lengthBytes, segmentEnd, ...rank };
    const data = { ...place, name: folder + dataFileName(place) };
    const there = equal.find(({ name }) => name === data.name);
    const before = chainText(chain);
    const isWhole = offset === from && isLast;
    if (!isWhole) chain.update(bytes);
    // The newest facts are with the last piece, so that one is always written.
    if (there !== undefined && !isLast) {
      pieces.push(there);
      continue;
    }
    const through = isWhole ? undefined : chainText(chain);
    const facts = isLast || kind === 'part' ? source.facts : {};
    const { lineage } = branch;
    const object = { lineage, data, start: from, slab, before, through, facts, level, sealer };
    pieces.push(await putData(repository, object, signal));
  }
  return pieces;
}

/** What can't be removed where nothing may be deleted is told; it does no harm. */
async function removeObjects(
  repository: Repository,
  objects: readonly DataName[],
  { signal, onProblem }: Replacement,
): Promise<DataName[]> {
  const removed: DataName[] = [];
  await forEachLimited(objects, repository.store.properties.connectionsMax, async (data) => {
    try {
      await repository.store.remove(data.name, { signal });
      removed.push(data);
    } catch (error) {
      if (!isAppError(error, 'STORE_DENIED', 'STORE_READ_ONLY')) throw error;
      onProblem({ name: data.name, message: `it is not needed any more, but can't be removed: ${messageOf(error)}` });
    }
  });
  return removed;
}
