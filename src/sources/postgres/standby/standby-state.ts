// What is known of a standby beside its data directory: from which backup it came, which timeline it followed, how far it was. A folder
// of which this is not known is never gone on with.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../../../base/errors.ts';
import { writeDurably } from '../recovery/data-folder.ts';
import { parseLsn } from '../wal/lsn.ts';

const lsn = z.string().refine((text) => parseLsn(text) !== undefined, 'is no LSN');

const stateSchema = z.object({
  version: z.literal(1),
  /** Id of the backup. */
  base: z.string(),
  baseBytes: z.number(),
  serverMajor: z.int(),
  systemIdentifier: z.string(),
  superuser: z.string().optional(),
  consistentLsn: lsn,
  /** What its fingerprint tells of; null if it has none. */
  extent: z.object({ databases: z.array(z.string()), leftOut: z.array(z.string()) }).nullable(),
  /** Its rows were compared with its fingerprint, or there is none. */
  isCompared: z.boolean(),
  lineage: z.string(),
  /** Where the replay was at the least. */
  replayedLsn: lsn,
  /** Said before it begins: from then on the folder may hold changes that nobody else has. */
  isPromoted: z.boolean(),
});

export type StandbyState = z.infer<typeof stateSchema>;

const stateFile = 'standby.json';

/** Undefined if there is none that can be gone on with. */
export async function readStandbyState(folder: string): Promise<StandbyState | undefined> {
  try {
    return stateSchema.safeParse(JSON.parse(await readFile(join(folder, stateFile), 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeStandbyState(folder: string, state: StandbyState): Promise<void> {
  await writeDurably(join(folder, stateFile), Buffer.from(JSON.stringify(state)));
}
