// The dated outcome of a verification that found everything intact: which recovery points, and how far it looked.
import { z } from 'zod';

const sampleSchema = z.object({ part: z.int().min(1), of: z.int().min(1) });

export const verificationSchema = z.object({
  version: z.literal(1),
  /** RFC 3339, when it began. */
  time: z.string(),
  /** `structure`: all but file data; `sample`: a part of the data too; `data`: every byte. */
  level: z.enum(['structure', 'sample', 'data']),
  /** Which part, at level `sample`. */
  sample: sampleSchema.optional(),
  /** Root trees of all snapshots of the repository then. */
  trees: z.array(z.string()),
  packsRead: z.number(),
  bytesRead: z.number(),
  program: z.string(),
});

/** One run over a whole repository, without an error. */
export type VerificationRecord = z.infer<typeof verificationSchema>;

export type Verified = Pick<VerificationRecord, 'level' | 'sample' | 'time'>;

const strength = { structure: 0, sample: 1, data: 2 } as const;

/** Whether `newer` says all that `older` says, so that `older` need not be kept. Parts of one sample complete each other. */
export function supersedes(newer: Verified, older: Verified): boolean {
  if (strength[newer.level] !== strength[older.level]) return strength[newer.level] > strength[older.level];
  return newer.sample?.of !== older.sample?.of || newer.sample?.part === older.sample?.part;
}

/** What is still worth saying, newest first: without those that a newer one supersedes. */
export function standing(records: readonly Verified[]): Verified[] {
  const kept: Verified[] = [];
  for (const { time, level, sample } of records.toSorted(
    (left, right) => Date.parse(right.time) - Date.parse(left.time),
  )) {
    const verified = { level, sample, time };
    if (!kept.some((newer) => supersedes(newer, verified))) kept.push(verified);
  }
  return kept;
}

/** Each verified root tree with its standing verifications. */
export function verifiedTrees(records: readonly VerificationRecord[]): Map<string, Verified[]> {
  const trees = new Map<string, VerificationRecord[]>();
  for (const record of records) {
    for (const tree of record.trees) trees.set(tree, [...(trees.get(tree) ?? []), record]);
  }
  return new Map([...trees].map(([tree, own]) => [tree, standing(own)]));
}

/** `structure`, `data part 2/7`, `all data`. */
export function reachWords({ level, sample }: Verified): string {
  if (level === 'structure') return 'structure';
  return sample === undefined ? 'all data' : `data part ${sample.part}/${sample.of}`;
}
