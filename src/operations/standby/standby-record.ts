// What a standby tells of itself to whoever looks from another process: a small file in the state folder of its component, written
// anew while it runs; and a request to take over, which comes the same way.
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { proofOutcomeSchema } from '../../model/proof.ts';
import { writeAtomically } from '../../storage/atomic-write.ts';

const instantSchema = z.object({ position: z.string(), timeUs: z.number().optional() });

const recordSchema = z.object({
  version: z.literal(1),
  folder: z.string(),
  repository: z.string(),
  pid: z.int(),
  writtenAtMs: z.number(),
  phase: z.enum(['restoring', 'starting', 'following', 'comparing', 'waiting', 'stopped', 'promoted']),
  replayed: instantSchema.optional(),
  journal: instantSchema.optional(),
  lagBytes: z.number().optional(),
  /** How old what it showed was when this was written. */
  ageMs: z.number().optional(),
  connection: z.string().optional(),
  problem: z.string().optional(),
  /** Of one that has taken over. */
  promoted: z
    .object({
      description: z.string(),
      reached: instantSchema,
      connection: z.string(),
      dataFolder: z.string(),
      settingsFolder: z.string(),
      notes: z.array(z.string()),
    })
    .optional(),
  /** The last comparison by this standby. */
  proof: z.object({ outcome: proofOutcomeSchema, time: z.string(), message: z.string() }).optional(),
});

export type StandbyRecord = z.infer<typeof recordSchema>;

const recordFile = 'standby.json';
const requestFile = 'promote.request';
/** It is written every few seconds at the least while it runs, whatever it waits for. */
export const silentAfterMs = 30_000;

export async function writeStandbyRecord(folder: string, record: StandbyRecord, random: Random): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
  await writeAtomically(join(folder, recordFile), [bytes], { fileMode: 0o600, isDurable: false, random });
}

/** Undefined if there never was one, or nothing that can be read. */
export async function readStandbyRecord(folder: string): Promise<StandbyRecord | undefined> {
  try {
    return recordSchema.safeParse(JSON.parse(await readFile(join(folder, recordFile), 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the one that wrote it still runs, as far as its silence tells. */
export function isRunning({ phase, writtenAtMs }: StandbyRecord, nowMs: number): boolean {
  return phase !== 'stopped' && phase !== 'promoted' && nowMs - writtenAtMs <= silentAfterMs;
}

export async function requestPromotion(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, requestFile), '', { mode: 0o600 });
}

export async function isPromotionRequested(folder: string): Promise<boolean> {
  try {
    await stat(join(folder, requestFile));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

export async function forgetPromotion(folder: string): Promise<void> {
  await rm(join(folder, requestFile), { force: true });
}
