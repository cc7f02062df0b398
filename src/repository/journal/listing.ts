// What a lineage holds, from names alone: unbroken stretches of bytes, which of them are sealed, holes and recorded gaps.
// Nothing is opened; that the bytes are what the names say is seen when they are read.
import type { Repository } from '../repository.ts';
import {
  compareRanks,
  dataFileName,
  endOfName,
  gapFileName,
  lineageFolder,
  parseDataName,
  parseGapName,
  type DataName,
  type GapName,
  type JournalProblem,
} from './object-name.ts';
import { comparePlaces, type JournalPlace } from './place.ts';

/** Unbroken bytes of one segment. There is one per segment, unless a gap lies inside. */
export interface KeptStretch {
  readonly segment: number;
  /** Offset of the first byte: 0 unless a gap precedes it. */
  readonly from: number;
  /** Offset after the last byte. */
  readonly to: number;
  /** Complete: the branch goes on in the next segment, or ended here. */
  readonly isSealed: boolean;
  /** That hold these bytes; several may hold the same. */
  readonly objects: readonly DataName[];
}

export type RecordedGap = GapName;

export interface JournalHole {
  readonly from: JournalPlace;
  readonly to: JournalPlace;
  /** Gaps that were recorded account for all of it. */
  readonly isRecorded: boolean;
}

export interface JournalListing {
  readonly lineage: string;
  readonly segmentBytes: number;
  /** In order. */
  readonly stretches: readonly KeptStretch[];
  readonly gaps: readonly RecordedGap[];
  /** Between stretches. */
  readonly holes: readonly JournalHole[];
  /** At the very beginning, of a segment whose first bytes are gone: left by a trim that was cut short. Not readable. */
  readonly remnant: readonly DataName[];
  /** Names that no writer of ours gives. */
  readonly problems: readonly JournalProblem[];
}

export async function listJournal(
  repository: Repository,
  { lineage, segmentBytes }: { readonly lineage: string; readonly segmentBytes: number },
  signal: AbortSignal,
): Promise<JournalListing> {
  const { data, gaps, problems } = await listNames(repository, lineageFolder(repository, lineage), signal);
  return { lineage, segmentBytes, ...arrange({ data, gaps, segmentBytes }), problems };
}

export interface ListedNames {
  readonly data: readonly DataName[];
  readonly gaps: readonly GapName[];
  readonly problems: readonly JournalProblem[];
}

/** What is in the folder of a lineage. */
export async function listNames(
  { store }: Pick<Repository, 'store'>,
  folder: string,
  signal: AbortSignal,
): Promise<ListedNames> {
  const data: DataName[] = [];
  const gaps: GapName[] = [];
  const problems: JournalProblem[] = [];
  // In this order: a sealed segment is stored before its parts go, and a gap before what follows it.
  for (const part of ['parts/', 'segments/', 'gaps/']) {
    for await (const info of store.list(`${folder}${part}`, { signal })) {
      const parsed = part === 'gaps/' ? parseGapName(info.name) : parseDataName(info);
      if (parsed === undefined) problems.push({ name: info.name, message: 'it has no name of a journal object' });
      else if ('from' in parsed && info.name === folder + gapFileName(parsed)) gaps.push(parsed);
      else if ('offset' in parsed && info.name === folder + dataFileName(parsed)) data.push(parsed);
      else problems.push({ name: info.name, message: 'it has no name of a journal object' });
    }
  }
  return { data, gaps, problems };
}

/** Pure. */
export function arrange({
  data,
  gaps: unsorted,
  segmentBytes,
}: Omit<ListedNames, 'problems'> & { readonly segmentBytes: number }): Pick<
  JournalListing,
  'stretches' | 'gaps' | 'holes' | 'remnant'
> {
  const gaps = unsorted.toSorted(
    (left, right) => comparePlaces(left.from, right.from) || comparePlaces(left.to, right.to),
  );
  const afterGaps = new Set(gaps.map(({ to }) => `${to.segment}:${to.offset}`));
  const mayBeginAt = (segment: number, offset: number): boolean =>
    offset === 0 || afterGaps.has(`${segment}:${offset}`);
  const sorted = data.toSorted((left, right) => left.segment - right.segment || left.offset - right.offset);
  const stretches: KeptStretch[] = [];
  let objects: DataName[] = [];
  let to = 0;
  const flush = (): void => {
    const [first] = objects;
    if (first === undefined) return;
    const { segment, offset: from } = first;
    const isSealed =
      mayBeginAt(segment, from) && sealedSets(objects).some((set) => set.from === from && set.end === to);
    stretches.push({ segment, from, to, isSealed, objects });
  };
  for (const each of sorted) {
    const previous = objects.at(-1);
    if (previous === undefined || previous.segment !== each.segment || each.offset > to) {
      flush();
      objects = [];
      to = 0;
    }
    objects.push(each);
    to = Math.max(to, endOfName(each));
  }
  flush();
  const first = stretches[0];
  const remnant = first === undefined || mayBeginAt(first.segment, first.from) ? [] : first.objects;
  if (remnant.length > 0) stretches.shift();
  return { stretches, gaps, holes: findHoles(stretches, gaps, segmentBytes), remnant };
}

export interface SealedSet {
  readonly from: number;
  readonly end: number;
  /** In order. */
  readonly pieces: readonly DataName[];
}

/** Sealed segments of which all pieces are there, highest rank first. */
export function sealedSets(objects: readonly DataName[]): SealedSet[] {
  const groups = Map.groupBy(
    objects.filter(({ kind }) => kind === 'segment'),
    ({ segmentEnd = 0, epoch, writer }) => `${segmentEnd}-${epoch}-${writer}`,
  );
  const sets: SealedSet[] = [];
  for (const group of groups.values()) {
    const pieces = group.toSorted((left, right) => left.offset - right.offset);
    const [first] = pieces;
    if (first?.segmentEnd === undefined) continue;
    let end = first.offset;
    for (const piece of pieces) if (piece.offset === end) end = endOfName(piece);
    if (end === first.segmentEnd) sets.push({ from: first.offset, end, pieces });
  }
  const rankOf = ({ pieces }: SealedSet): DataName => pieces[0] as DataName;
  return sets.toSorted((left, right) => compareRanks(rankOf(right), rankOf(left)));
}

function findHoles(
  stretches: readonly KeptStretch[],
  gaps: readonly RecordedGap[],
  segmentBytes: number,
): JournalHole[] {
  const holes: JournalHole[] = [];
  for (const [at, next] of stretches.entries()) {
    const previous = stretches[at - 1];
    if (previous === undefined) continue;
    const from = nextPlaceAfter(previous, segmentBytes);
    const to = { segment: next.segment, offset: next.from };
    if (comparePlaces(from, to) < 0) holes.push({ from, to, isRecorded: isCovered({ from, to }, gaps, segmentBytes) });
  }
  return holes;
}

/** Where the branch goes on after a stretch. A full segment that nobody sealed yet is complete all the same. */
export function nextPlaceAfter({ segment, to, isSealed }: KeptStretch, segmentBytes: number): JournalPlace {
  return isSealed ? { segment: segment + 1, offset: 0 } : wrap({ segment, offset: to }, segmentBytes);
}

/** The end of a full segment is the start of the next. */
const wrap = ({ segment, offset }: JournalPlace, segmentBytes: number): JournalPlace =>
  offset === segmentBytes ? { segment: segment + 1, offset: 0 } : { segment, offset };

/** `gaps` are in order. */
function isCovered(
  { from, to }: { readonly from: JournalPlace; readonly to: JournalPlace },
  gaps: readonly RecordedGap[],
  segmentBytes: number,
): boolean {
  let reached = from;
  for (const gap of gaps) {
    const end = wrap(gap.to, segmentBytes);
    if (comparePlaces(wrap(gap.from, segmentBytes), reached) <= 0 && comparePlaces(end, reached) > 0) reached = end;
  }
  return comparePlaces(reached, to) >= 0;
}

/** Of the oldest byte that is kept. */
export function startOf({ stretches }: Pick<JournalListing, 'stretches'>): JournalPlace | undefined {
  const first = stretches[0];
  return first && { segment: first.segment, offset: first.from };
}

/** After the newest byte that is kept, as names tell. */
export function endOf({ stretches }: Pick<JournalListing, 'stretches'>): JournalPlace | undefined {
  const last = stretches.at(-1);
  return last && { segment: last.segment, offset: last.to };
}
