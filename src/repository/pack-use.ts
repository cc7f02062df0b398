// How much of each pack is still needed, and which copy of a blob that lies in several packs is the one to keep. Pure.
import { AppError } from '../base/errors.ts';
import type { BlobIndex, BlobLocation } from './blob-index.ts';
import type { PackId } from './ids.ts';
import { fileName } from './layout.ts';
import { entryBytes, type BlobType } from './pack-header.ts';
import { RecordSet } from './record-set.ts';
import type { IndexSurvey } from './survey-indexes.ts';

export interface PackUse {
  readonly pack: PackId;
  readonly type: BlobType | 'mixed';
  readonly sizeBytes: number;
  readonly usedBlobs: number;
  /** With their entries in the pack's header. */
  readonly usedBytes: number;
  readonly unusedBlobs: number;
  /** It holds trees that are not compressed. */
  readonly hasRawTrees: boolean;
}

export interface MeasuredPacks {
  readonly packs: readonly PackUse[];
  /** One record for each used blob: the copy to keep. */
  readonly kept: RecordSet;
  /** Used blobs that lie in several places. */
  readonly duplicates: readonly Duplicate[];
}

/** Records of one blob. */
export interface Duplicate {
  readonly kept: number;
  readonly others: readonly number[];
}

export interface KnownDamage {
  /** Whether a pack file is there with its right size. */
  isSound(pack: PackId): boolean;
  /** Records that were read and found bad. */
  readonly damaged: ReadonlySet<number>;
}

/** `used` holds records as `recordOf` gives them. Throws `REPOSITORY_DAMAGED` if a used blob has no good copy. */
export function measurePacks({ index, packs }: IndexSurvey, used: RecordSet, damage: KnownDamage): MeasuredPacks {
  const { kept, duplicates } = chooseCopies(index, used, damage);
  const uses = index.packs.map((pack) => ({ pack, usedBlobs: 0, usedBytes: 0 }));
  for (let record = 0; record < index.size; record += 1) {
    if (!kept.has(record)) continue;
    const use = uses[index.packNumberAt(record)] as (typeof uses)[number];
    use.usedBlobs += 1;
    use.usedBytes += weightOf(index.at(record));
  }
  const measured = uses.map((use) => {
    const surveyed = packs.get(use.pack);
    if (surveyed === undefined) throw new Error(`pack ${use.pack} was not surveyed`);
    const { type, sizeBytes, blobs, hasRawTrees } = surveyed;
    return { ...use, type, sizeBytes, hasRawTrees, unusedBlobs: blobs - use.usedBlobs };
  });
  return { packs: measured, kept, duplicates };
}

const weightOf = (place: BlobLocation): number => place.lengthBytes + entryBytes(place);

/** Of a blob with several copies the one whose pack holds most that is needed anyway, so that the others can go. */
function chooseCopies(
  index: BlobIndex,
  used: RecordSet,
  damage: KnownDamage,
): Pick<MeasuredPacks, 'kept' | 'duplicates'> {
  const soundPacks = index.packs.map((pack) => damage.isSound(pack));
  const isUsable = (record: number): boolean =>
    soundPacks[index.packNumberAt(record)] === true && !damage.damaged.has(record);
  const kept = new RecordSet(index.size);
  const copies = copiesOf(index, used);
  const several = new Set([...copies.values()].flat());
  const neededBytes = index.packs.map(() => 0);
  for (let record = 0; record < index.size; record += 1) {
    if (!used.has(record) || several.has(record)) continue;
    if (!isUsable(record)) throw noCopy(index.at(record));
    const packNumber = index.packNumberAt(record);
    kept.add(record);
    neededBytes[packNumber] = (neededBytes[packNumber] ?? 0) + index.at(record).lengthBytes;
  }
  const needed = (record: number): number => neededBytes[index.packNumberAt(record)] ?? 0;
  const duplicates: Duplicate[] = [];
  for (const [first, records] of copies) {
    const [best] = records.filter(isUsable).toSorted((left, right) => needed(right) - needed(left) || left - right);
    if (best === undefined) throw noCopy(index.at(first));
    kept.add(best);
    duplicates.push({ kept: best, others: records.filter((record) => record !== best) });
  }
  return { kept, duplicates };
}

/** The first record of each used blob that lies in several places → all its records. */
function copiesOf(index: BlobIndex, used: RecordSet): Map<number, number[]> {
  const copies = new Map<number, number[]>();
  for (let record = 0; record < index.size; record += 1) {
    const { type, id } = index.at(record);
    const first = index.recordOf(type, id);
    if (first === record || !used.has(first)) continue;
    copies.getOrInsertComputed(first, () => [first]).push(record);
  }
  return copies;
}

function noCopy({ type, id, pack }: BlobLocation): AppError {
  const name = fileName('data', pack);
  return new AppError(
    'REPOSITORY_DAMAGED',
    `${type} blob ${id} is needed, but file ${name} is missing, damaged or of a wrong size`,
    {
      hint: "Nothing was deleted. Run 'lifeboat repository verify' to see the extent, and bring the file back or forget the snapshots that need it.",
    },
  );
}
