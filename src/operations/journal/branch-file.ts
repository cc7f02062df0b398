// The file `branch.json` of a branch in a spool: what it is about, and what its segments alone don't tell. Written rarely: when
// it is opened first, at a gap, and when its segments are removed.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Random } from '../../base/random.ts';
import type { JsonObject } from '../../base/json.ts';
import type { JournalGap, JournalPosition } from '../../sources/journal.ts';
import { writeAtomically } from '../../storage/atomic-write.ts';

export interface BranchFile {
  readonly lineage: string;
  readonly segmentBytes: number;
  readonly about: JsonObject;
  readonly openedAtMs: number;
  /** Of the oldest segment that is kept anywhere, as far as was known here. */
  readonly start?: JournalPosition | undefined;
  /** Where the journal goes on, if this is later than what the segments say. */
  readonly resume?: JournalPosition | undefined;
  readonly gaps: readonly JournalGap[];
}

const positionSchema = z.object({ segment: z.int().nonnegative(), offset: z.int().nonnegative() });

const schema = z.object({
  format: z.literal(1),
  lineage: z.string(),
  segmentBytes: z.int().positive(),
  about: z.record(z.string(), z.json()),
  openedAtMs: z.number(),
  start: positionSchema.optional(),
  resume: positionSchema.optional(),
  gaps: z.array(z.object({ from: positionSchema, to: positionSchema, reason: z.string() })),
});

export async function readBranchFile(path: string): Promise<BranchFile> {
  return schema.parse(JSON.parse(await readFile(path, 'utf8')));
}

export async function writeBranchFile(path: string, content: BranchFile, random: Random): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ format: 1, ...content }, undefined, 2)}\n`);
  await writeAtomically(path, [bytes], { fileMode: 0o600, isDurable: true, random });
}
