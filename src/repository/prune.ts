// Decides what a prune does with each pack and index file. Pure: `--dry-run` prints the decision, `executePrune`
// carries it out.
import type { IndexId, PackId } from './ids.ts';
import type { BlobType } from './pack-header.ts';
import type { Duplicate, PackUse } from './pack-use.ts';
import { packBlobsMax } from './pack-writer.ts';
import type { IndexSurvey } from './survey-indexes.ts';

export interface PruneOptions {
  /** Unused bytes that may stay, so that less has to be rewritten; percent of what the repository has afterwards. */
  readonly maxUnused: 'unlimited' | { readonly percent: number } | { readonly bytes: number };
  /** Of packs to rewrite; 0 only removes whole packs, for full disks. No limit if absent. */
  readonly maxRepackBytes?: number | undefined;
  readonly packTargetBytes: Readonly<Record<BlobType, number>>;
}

export const defaultMaxUnused: PruneOptions['maxUnused'] = { percent: 5 };

export interface UnindexedPack {
  readonly pack: PackId;
  readonly sizeBytes: number;
}

export interface PruneInput {
  readonly packs: readonly PackUse[];
  /** Pack files that no index knows: leftovers of writers that died. */
  readonly unindexed: readonly UnindexedPack[];
  readonly indexFiles: IndexSurvey['files'];
}

export interface PruneDecision {
  readonly keep: readonly PackId[];
  readonly repack: readonly PackId[];
  readonly remove: readonly PackId[];
  readonly removeUnindexed: readonly UnindexedPack[];
  /** Index files to be replaced: they list packs that go, or are many and small. */
  readonly rewriteIndexes: readonly IndexId[];
  readonly bytes: {
    readonly used: number;
    readonly unused: number;
    readonly unindexed: number;
    /** Size of the packs to repack; the used part of it is written again. */
    readonly repacked: number;
    readonly freed: number;
    /** Unused bytes that stay. */
    readonly unusedAfter: number;
  };
}

/** Merging fewer small files is not worth the rewriting. */
const smallFilesMin = 10;
const smallIndexBlobsMax = 5000;

export function decidePrune(input: PruneInput, options: PruneOptions): PruneDecision {
  const sortedPacks = input.packs.toSorted((left, right) => (left.pack < right.pack ? -1 : 1));
  const remove = sortedPacks.filter(({ usedBlobs }) => usedBlobs === 0);
  const others = sortedPacks.filter(({ usedBlobs }) => usedBlobs > 0);
  const repack = new Set(chooseRepacks(others, options));
  const keep = others.filter((pack) => !repack.has(pack));
  const repacked = others.filter((pack) => repack.has(pack));
  const gone = new Set([...remove, ...repacked].map(({ pack }) => pack));
  const unindexed = input.unindexed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const unusedAfter = unusedOf(keep);
  const unused = unusedOf(sortedPacks);
  return {
    keep: keep.map(({ pack }) => pack),
    repack: repacked.map(({ pack }) => pack),
    remove: remove.map(({ pack }) => pack),
    removeUnindexed: input.unindexed.toSorted((left, right) => (left.pack < right.pack ? -1 : 1)),
    rewriteIndexes: chooseIndexes(input.indexFiles, gone),
    bytes: {
      used: sumOf(sortedPacks, ({ usedBytes }) => usedBytes),
      unused,
      unindexed,
      repacked: sumOf(repacked, ({ sizeBytes }) => sizeBytes),
      freed: unindexed + unused - unusedAfter,
      unusedAfter,
    },
  };
}

/**
 * Of blobs with several copies, those whose kept copy stays where it is while another one goes: if it is damaged, a good
 * one may be about to go. Copies that are repacked need no such look: they are read then, with the others still there.
 */
export function copiesToCheck(
  duplicates: readonly Duplicate[],
  { repack, remove }: Pick<PruneDecision, 'repack' | 'remove'>,
  packOf: (record: number) => PackId,
): number[] {
  const repacked = new Set(repack);
  const gone = new Set([...repack, ...remove]);
  return duplicates
    .filter(({ kept, others }) => !repacked.has(packOf(kept)) && others.some((record) => gone.has(packOf(record))))
    .map(({ kept }) => kept);
}

const sumOf = (packs: readonly PackUse[], amount: (pack: PackUse) => number): number =>
  packs.reduce((sum, pack) => sum + amount(pack), 0);
const unusedBytes = ({ sizeBytes, usedBytes, unusedBlobs }: PackUse): number =>
  unusedBlobs === 0 ? 0 : sizeBytes - usedBytes;
const unusedOf = (packs: readonly PackUse[]): number => sumOf(packs, unusedBytes);

function unusedLimit(usedBytes: number, maxUnused: PruneOptions['maxUnused']): number {
  if (maxUnused === 'unlimited') return Infinity;
  if ('bytes' in maxUnused) return maxUnused.bytes;
  return maxUnused.percent >= 100 ? Infinity : (maxUnused.percent / (100 - maxUnused.percent)) * usedBytes;
}

/** Those that must be rewritten first, then the most wasteful, until little enough is wasted or the limit is reached. */
function chooseRepacks(packs: readonly PackUse[], options: PruneOptions): PackUse[] {
  const merged = new Set([...smallOf(packs, 'data', options), ...smallOf(packs, 'tree', options)]);
  const isDue = (pack: PackUse): boolean => pack.type === 'mixed' || pack.hasRawTrees || merged.has(pack);
  const rank = (pack: PackUse): number => (isDue(pack) ? 0 : pack.type === 'tree' ? 1 : 2);
  const share = (pack: PackUse): number => unusedBytes(pack) / pack.sizeBytes;
  const candidates = packs
    .filter((pack) => pack.unusedBlobs > 0 || isDue(pack))
    .toSorted((left, right) => rank(left) - rank(right) || share(right) - share(left));
  const limitBytes = unusedLimit(
    sumOf(packs, ({ usedBytes }) => usedBytes),
    options.maxUnused,
  );
  const chosen: PackUse[] = [];
  let remaining = unusedOf(packs);
  let repackedBytes = 0;
  for (const pack of candidates) {
    if (!isDue(pack) && remaining <= limitBytes) continue;
    if (repackedBytes + pack.sizeBytes > (options.maxRepackBytes ?? Infinity)) continue;
    chosen.push(pack);
    repackedBytes += pack.sizeBytes;
    remaining -= unusedBytes(pack);
  }
  return chosen;
}

/** Packs of a type that are to become fewer, if there are enough of them. */
function smallOf(packs: readonly PackUse[], type: BlobType, { packTargetBytes }: PruneOptions): PackUse[] {
  const isSmall = (pack: PackUse): boolean =>
    pack.sizeBytes < packTargetBytes[type] / 4 && pack.usedBlobs + pack.unusedBlobs < packBlobsMax / 4;
  const small = packs.filter((pack) => pack.type === type && isSmall(pack));
  return small.length < smallFilesMin ? [] : small;
}

function chooseIndexes(files: IndexSurvey['files'], gone: ReadonlySet<PackId>): IndexId[] {
  const small = [...files].filter(([, { blobs }]) => blobs < smallIndexBlobsMax).map(([id]) => id);
  const merged = new Set(small.length < smallFilesMin ? [] : small);
  return [...files.keys()]
    .filter((id) => merged.has(id) || files.get(id)?.packs.some((pack) => gone.has(pack)) === true)
    .toSorted();
}
