// Rows of a standby as they were at marks in the journal, kept until the backup that a mark belongs to is stored and can be compared.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../../../base/errors.ts';
import { type Fingerprint, fingerprintSchema } from '../../../model/fingerprint.ts';
import { writeDurably } from '../recovery/data-folder.ts';
import { parseLsn } from '../wal/lsn.ts';

const rememberedSchema = z.object({
  lsn: z.string().refine((text) => parseLsn(text) !== undefined, 'is no LSN'),
  lineage: z.string(),
  description: z.string(),
  /** Replayed since the backup that the standby came from. */
  journalBytes: z.number(),
  fingerprint: fingerprintSchema,
});

export interface RememberedFingerprint extends Omit<z.infer<typeof rememberedSchema>, 'fingerprint'> {
  readonly fingerprint: Fingerprint;
}

/** A backup that failed never comes. */
const rememberedMax = 4;
const form = /^fingerprint-[0-9A-F]{16}\.json$/;

const fileOf = (folder: string, lsn: string): string =>
  join(folder, `fingerprint-${(parseLsn(lsn) ?? 0n).toString(16).toUpperCase().padStart(16, '0')}.json`);

export async function rememberFingerprint(folder: string, remembered: RememberedFingerprint): Promise<void> {
  await writeDurably(fileOf(folder, remembered.lsn), Buffer.from(JSON.stringify(remembered)));
  const names = await rememberedNames(folder);
  for (const name of names.slice(0, -rememberedMax)) await rm(join(folder, name), { force: true });
}

/** Oldest first. What can't be read is none. */
export async function rememberedFingerprints(folder: string): Promise<RememberedFingerprint[]> {
  const remembered: RememberedFingerprint[] = [];
  for (const name of await rememberedNames(folder)) {
    const one = await readOne(join(folder, name));
    if (one !== undefined) remembered.push(one);
  }
  return remembered;
}

async function readOne(path: string): Promise<RememberedFingerprint | undefined> {
  try {
    return rememberedSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function forgetFingerprints(folder: string, lsn?: string): Promise<void> {
  if (lsn !== undefined) return rm(fileOf(folder, lsn), { force: true });
  for (const name of await rememberedNames(folder)) await rm(join(folder, name), { force: true });
}

async function rememberedNames(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => form.test(name)).toSorted();
}
