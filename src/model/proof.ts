// The dated outcome of really restoring a recovery point and comparing it.
import { z } from 'zod';

export const proofOutcomeSchema = z.enum(['passed', 'failed', 'inconclusive']);
export type ProofOutcome = z.infer<typeof proofOutcomeSchema>;

export const proofSchema = z.object({
  version: z.literal(1),
  component: z.string(),
  /** Root tree: snapshot ids change by tag and copy, the tree does not. */
  tree: z.string(),
  snapshot: z.string(),
  /** RFC 3339, when the restore began. */
  time: z.string(),
  outcome: proofOutcomeSchema,
  /** One sentence that says why. */
  message: z.string(),
  /** Where it was restored to: `PostgreSQL 15.18 at 127.0.0.1:40123`. */
  sandbox: z.string(),
  durationSeconds: z.number(),
  restoredBytes: z.number(),
  /** Items that were compared: tables and other items of a fingerprint, or entries of a tree. */
  compared: z.number(),
  /** Rows of tables, or keys; 0 for files. */
  rows: z.number(),
  /** What was compared, by noun in the singular; absent in proofs of older programs. */
  content: z.array(z.object({ what: z.string(), count: z.number() })).optional(),
  differences: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['missing', 'added', 'changed']),
      rowsExpected: z.number(),
      rowsFound: z.number(),
      detail: z.string().optional(),
    }),
  ),
  checks: z.array(z.object({ check: z.string(), outcome: proofOutcomeSchema, value: z.string() })),
  /** The same data once more, from an older backup through the journal; absent where there was no such way, or nobody asked. */
  throughJournal: z
    .object({
      /** Snapshot from which the replay started. */
      base: z.string(),
      baseTime: z.string(),
      /** Up to where, in the source's own notation. */
      position: z.string(),
      replayedBytes: z.number(),
      durationSeconds: z.number(),
      outcome: proofOutcomeSchema,
      message: z.string(),
    })
    .optional(),
  /** By the newest sentinel in it: how much older than the backup's instant the newest datum that came back is. */
  sentinel: z.object({ writtenAt: z.string(), instant: z.string(), measuredRpoSeconds: z.number() }).optional(),
  program: z.string(),
});

export type Proof = z.infer<typeof proofSchema>;
export type JournalProof = NonNullable<Proof['throughJournal']>;

/** Differences kept in a proof; the message tells how many there were. */
export const differencesMax = 200;

/** The newest proof of each root tree. */
export function newestProofs(proofs: readonly Proof[]): Map<string, Proof> {
  const newest = new Map<string, Proof>();
  for (const proof of proofs) {
    const known = newest.get(proof.tree);
    if (known === undefined || Date.parse(known.time) <= Date.parse(proof.time)) newest.set(proof.tree, proof);
  }
  return newest;
}
