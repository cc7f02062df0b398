// Reads what a logical recovery point holds: which databases, and from each dump's head what a target must have.
import { z } from 'zod';
import { AppError } from '../../../base/errors.ts';
import type { RecoveryReader } from '../../source.ts';
import type { DatabaseFacts } from '../database-facts.ts';
import { type DumpToc, tocReader } from './dump-toc.ts';
import { databaseOf, globalsPath } from './entry-paths.ts';
import { readGlobals, type RoleStatements } from './globals.ts';

export interface RecoveryPoint {
  readonly reader: RecoveryReader;
  readonly databases: readonly StoredDatabase[];
  readonly globals: RoleStatements;
  /** The newest server that any of the dumps came from. */
  readonly serverMajor: number;
  /** The newest pg_dump that wrote any of them. */
  readonly programMajor: number;
}

export interface StoredDatabase {
  readonly name: string;
  readonly path: string;
  readonly toc: DumpToc;
  /** Absent where the recovery point carries no facts of it. */
  readonly facts: DatabaseFacts | undefined;
}

const databaseFactsSchema: z.ZodType<DatabaseFacts> = z.object({
  name: z.string(),
  owner: z.string(),
  sizeBytes: z.number(),
  encoding: z.string(),
  collation: z.string(),
  characterType: z.string(),
  localeProvider: z.string(),
  locale: z.string().nullable(),
  tablespace: z.string(),
  connectionsMax: z.number().int(),
  comment: z.string().nullable(),
  settings: z.array(z.object({ role: z.string().nullable(), setting: z.string() })),
  rights: z
    .array(z.object({ grantee: z.string().nullable(), privilege: z.string(), mayGrant: z.boolean() }))
    .nullable(),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
});
const factsSchema = z.object({ databases: z.array(databaseFactsSchema) });

/** All databases, or those of `include`; rejects with `NOT_FOUND` where one is not in it. */
export async function readRecoveryPoint(
  reader: RecoveryReader,
  include: readonly string[],
  signal: AbortSignal,
): Promise<RecoveryPoint> {
  const paths = new Map<string, string>();
  let hasGlobals = false;
  for await (const { path, metadata } of reader.entries(signal)) {
    const name = databaseOf(path);
    if (metadata.type === 'file' && name !== undefined) paths.set(name, path);
    hasGlobals ||= path === globalsPath;
  }
  const names = include.length > 0 ? [...new Set(include)] : [...paths.keys()];
  const facts = factsSchema.safeParse(await reader.facts(signal)).data?.databases ?? [];
  const databases: StoredDatabase[] = [];
  for (const name of names) {
    const path = paths.get(name);
    if (path === undefined) {
      throw new AppError('NOT_FOUND', `the recovery point has no database ${name}`, {
        hint: `Name one of these: ${[...paths.keys()].join(', ') || 'it has none'}.`,
      });
    }
    const toc = await readToc(reader, path, signal);
    databases.push({ name, path, toc, facts: facts.find((one) => one.name === name) });
  }
  return {
    reader,
    databases,
    globals: readGlobals(hasGlobals ? await readText(reader, globalsPath, signal) : ''),
    serverMajor: Math.max(0, ...databases.map(({ toc }) => toc.serverMajor)),
    programMajor: Math.max(0, ...databases.map(({ toc }) => toc.programMajor)),
  };
}

async function readToc(reader: RecoveryReader, path: string, signal: AbortSignal): Promise<DumpToc> {
  const toc = tocReader();
  for await (const chunk of reader.read(path, signal)) {
    toc.push(chunk);
    if (toc.toc !== undefined) return toc.toc;
  }
  throw new AppError('REPOSITORY_DAMAGED', `${path} ends in its table of contents`, {
    hint: 'Restore another recovery point.',
  });
}

async function readText(reader: RecoveryReader, path: string, signal: AbortSignal): Promise<string> {
  return Buffer.concat(await Array.fromAsync(reader.read(path, signal))).toString('utf8');
}
