// Which backups are unlike those before them: files that went, everything rewritten, data that no longer compresses. Medians and the
// usual distance from them, so that one odd backup among the earlier ones changes nothing.
import { z } from 'zod';
import { count } from '../base/count.ts';

/** By table, or kind of key. */
export type RowCounts = ReadonlyMap<string, number>;

/** What is known of one backup of a component. */
export interface BackupMeasures {
  /** Without one nobody knows what is new: all seems so. */
  readonly hasParent: boolean;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  readonly files: number;
  readonly bytes: number;
  /** New data before compression, and as stored. */
  readonly addedBytes: number;
  readonly storedBytes: number;
  readonly elapsedMs: number;
  /** Undefined where there are none, or nobody looked. */
  readonly rows?: RowCounts | undefined;
}

export const anomalyFactSchema = z.object({
  measure: z.enum(['deleted', 'rewritten', 'size', 'added', 'deduplication', 'entropy', 'duration', 'rows']),
  /** A share, or a logarithm of a ratio, as it was compared. */
  value: z.number(),
  /** The median of the earlier ones. */
  usual: z.number(),
  limit: z.number(),
  message: z.string(),
});
export type AnomalyFact = z.output<typeof anomalyFactSchema>;

/** So many earlier backups must be known before anything is said. */
export const earlierMin = 7;
/** Older ones say little of how it is now. */
const earlierMax = 30;
/** How many usual distances from the median are too many. */
const distancesMax = 6;
/** Makes the median distance that of a standard deviation, where values are spread normally. */
const madScale = 1.4826;
/** Of fewer files a share says nothing. */
const filesMin = 10;
const mebibyte = 2 ** 20;
const entropyBytesMin = 64 * 1024;
/** Of fewer rows too. */
const rowsMin = 100;
/** Distance of the share of rows that went. */
const rowsFloor = 0.05;

interface Measure {
  readonly name: AnomalyFact['measure'];
  /** More is worse; undefined where there is too little to tell. */
  readonly valueOf: (backup: BackupMeasures, before: BackupMeasures) => number | undefined;
  /** The least distance that counts as usual: a series without any spread would call everything odd. */
  readonly floor: number;
  readonly words: (value: number, usual: number) => string;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const measures: readonly Measure[] = [
  {
    name: 'deleted',
    valueOf: ({ hasParent, filesChanged, filesUnmodified }, { files }) => {
      const gone = files - filesChanged - filesUnmodified;
      return hasParent && files > 0 ? (gone < filesMin ? 0 : gone / files) : undefined;
    },
    floor: 0.03,
    words: (value, usual) => `${percent(value)} of the files are gone, usually ${percent(usual)}`,
  },
  {
    name: 'rewritten',
    // Files that were only touched, or read again by force, are no new data.
    valueOf: ({ hasParent, filesChanged, bytes, addedBytes }, { files }) =>
      hasParent && files > 0
        ? filesChanged < filesMin
          ? 0
          : Math.min(1, filesChanged / files, addedBytes / Math.max(bytes, 1))
        : undefined,
    floor: 0.05,
    words: (value, usual) => `${percent(value)} of the files were rewritten, usually ${percent(usual)}`,
  },
  {
    name: 'size',
    valueOf: ({ bytes }, before) =>
      before.bytes < entropyBytesMin ? undefined : Math.log(before.bytes / Math.max(bytes, 1)),
    floor: 0.05,
    words: (value) => `it shrank by ${percent(1 - Math.exp(-value))}`,
  },
  {
    name: 'added',
    valueOf: ({ addedBytes }) => Math.log1p(addedBytes / mebibyte),
    floor: 0.5,
    words: (value, usual) => `${mebibytes(value)} were new, usually ${mebibytes(usual)}`,
  },
  {
    name: 'deduplication',
    valueOf: ({ bytes, addedBytes }) => (bytes === 0 || addedBytes < mebibyte ? 0 : Math.min(1, addedBytes / bytes)),
    floor: 0.05,
    words: (value, usual) => `${percent(value)} of the data was new, usually ${percent(usual)}`,
  },
  {
    name: 'entropy',
    valueOf: ({ addedBytes, storedBytes }) =>
      addedBytes < entropyBytesMin ? undefined : Math.min(1, storedBytes / addedBytes),
    floor: 0.05,
    words: (value, usual) =>
      `new data compresses to ${percent(value)}, usually to ${percent(usual)}, as encrypted data does`,
  },
  {
    name: 'duration',
    valueOf: ({ elapsedMs }) => Math.log1p(elapsedMs / 60_000),
    floor: 0.5,
    words: (value, usual) => `it took ${minutes(value)}, usually ${minutes(usual)}`,
  },
];

const mebibytes = (logarithm: number): string => `${Math.expm1(logarithm).toFixed(1)} MiB`;
const minutes = (logarithm: number): string => count(Math.round(Math.expm1(logarithm)), 'minute');

/** Oldest first; `earlier` holds what counts as usual. Empty if there is nothing odd, or too little to compare with. */
export function anomaliesOf(
  backup: BackupMeasures,
  { earlier, before }: { readonly earlier: readonly BackupMeasures[]; readonly before: BackupMeasures | undefined },
): AnomalyFact[] {
  if (earlier.length < earlierMin || before === undefined) return [];
  const usualOnes = earlier.slice(-earlierMax - 1);
  const facts = measures.flatMap(({ name, valueOf, floor, words }): AnomalyFact[] => {
    const value = valueOf(backup, before);
    const known = usualOnes.flatMap((one, index) => {
      const previous = usualOnes[index - 1];
      return previous === undefined ? [] : (valueOf(one, previous) ?? []);
    });
    if (value === undefined || known.length < earlierMin - 1) return [];
    const { median, limit } = limitOf(known, floor);
    return value > limit ? [{ measure: name, value, usual: median, limit, message: words(value, median) }] : [];
  });
  const lost = lostRows(backup, before, usualOnes);
  return lost === undefined ? facts : [...facts, lost];
}

/** Of the tables that all earlier backups hold the one that lost the largest share of its rows, if that is odd for it. */
function lostRows(
  { rows }: BackupMeasures,
  { rows: had }: BackupMeasures,
  usualOnes: readonly BackupMeasures[],
): AnomalyFact | undefined {
  const known = usualOnes.flatMap((one) => one.rows ?? []);
  if (rows === undefined || had === undefined || known.length < earlierMin) return undefined;
  const odd = [...had].flatMap(([name, before]): AnomalyFact[] => {
    if (before < rowsMin || !known.every((one) => one.has(name))) return [];
    const now = rows.get(name) ?? 0;
    const value = shareLost(before, now);
    const usual = known.flatMap((one, at) =>
      at === 0 ? [] : shareLost(known[at - 1]?.get(name) ?? 0, one.get(name) ?? 0),
    );
    const { median, limit } = limitOf(usual, rowsFloor);
    const message = `${name} lost ${percent(value)} of its rows (${before} → ${now}), usually ${percent(median)}`;
    return value > limit ? [{ measure: 'rows', value, usual: median, limit, message }] : [];
  });
  const [worst, ...others] = odd.toSorted((left, right) => right.value - left.value);
  if (worst === undefined || others.length === 0) return worst;
  return { ...worst, message: `${worst.message}; and so did ${count(others.length, 'other table', 'other tables')}` };
}

const shareLost = (before: number, now: number): number => (before === 0 ? 0 : Math.max(0, 1 - now / before));

/** What is above the limit is odd. */
export function limitOf(values: readonly number[], floor: number): { readonly median: number; readonly limit: number } {
  const median = medianOf(values);
  const distance = medianOf(values.map((value) => Math.abs(value - median))) * madScale;
  return { median, limit: median + distancesMax * Math.max(distance, floor) };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}

export const anomalyNoteSchema = z.discriminatedUnion('kind', [
  z.object({
    version: z.literal(1),
    kind: z.literal('found'),
    component: z.string(),
    snapshot: z.string(),
    /** RFC 3339, of the snapshot. */
    time: z.string(),
    facts: z.array(anomalyFactSchema),
  }),
  z.object({ version: z.literal(1), kind: z.literal('accepted'), time: z.string(), by: z.string() }),
]);
export type AnomalyNote = z.output<typeof anomalyNoteSchema>;
export type FoundAnomaly = Extract<AnomalyNote, { kind: 'found' }>;
