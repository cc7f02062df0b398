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
}

export interface MeasuredPacks {
  readonly packs: readonly PackUse[];
  /** One record for each used blob: the copy to keep. */
  readonly kept: RecordSet;
}

/**
 * `used` holds records as `recordOf` gives them; `isSound` tells whether a pack file is there with its right size.
 * Throws `REPOSITORY_DAMAGED` if a used blob has no copy in a sound pack.
 */
export function measurePacks(
  { index, packs }: IndexSurvey,
  used: RecordSet,
  isSound: (pack: PackId) => boolean,
): MeasuredPacks {
  const kept = chooseCopies(index, used, isSound);
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
    const { type, sizeBytes, blobs } = surveyed;
    return { ...use, type, sizeBytes, unusedBlobs: blobs - use.usedBlobs };
  });
  return { packs: measured, kept };
}

const weightOf = (place: BlobLocation): number => place.lengthBytes + entryBytes(place);

/** Of a blob with several copies the one whose pack holds most that is needed anyway, so that the others can go. */
function chooseCopies(index: BlobIndex, used: RecordSet, isSound: (pack: PackId) => boolean): RecordSet {
  const soundPacks = index.packs.map(isSound);
  const kept = new RecordSet(index.size);
  /** The first record of each used blob with several → all its records in sound packs. */
  const copies = new Map<number, number[]>();
  const firstOf = (record: number): number => {
    const { type, id } = index.at(record);
    return index.recordOf(type, id);
  };
  for (let record = 0; record < index.size; record += 1) {
    const first = firstOf(record);
    if (first !== record && used.has(first)) copies.set(first, []);
  }
  const neededBytes = index.packs.map(() => 0);
  for (let record = 0; record < index.size; record += 1) {
    const packNumber = index.packNumberAt(record);
    const isUsable = soundPacks[packNumber] === true;
    const others = copies.size === 0 ? undefined : copies.get(firstOf(record));
    if (others !== undefined) {
      if (isUsable) others.push(record);
    } else if (used.has(record)) {
      if (!isUsable) throw noCopy(index.at(record));
      kept.add(record);
      neededBytes[packNumber] = (neededBytes[packNumber] ?? 0) + index.at(record).lengthBytes;
    }
  }
  const needed = (record: number): number => neededBytes[index.packNumberAt(record)] ?? 0;
  for (const [first, records] of copies) {
    const [best] = records.toSorted((left, right) => needed(right) - needed(left) || left - right);
    if (best === undefined) throw noCopy(index.at(first));
    kept.add(best);
  }
  return kept;
}

function noCopy({ type, id, pack }: BlobLocation): AppError {
  const name = fileName('data', pack);
  return new AppError(
    'REPOSITORY_DAMAGED',
    `${type} blob ${id} is needed, but file ${name} is missing or has a wrong size`,
    {
      hint: "Nothing was deleted. Run 'lifeboat repository verify' to see the extent, and bring the file back or forget the snapshots that need it.",
    },
  );
}
