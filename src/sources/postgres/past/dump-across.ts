// Carries a part of one server to another: pg_dump writes into pg_restore, and nothing lies on a disk in between.
import { AppError, isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { dumpProgram, type ProgramFolder, restoreProgram } from '../logical/programs.ts';
import type { PostgresOptions } from '../options.ts';
import { connectionString, feedProgram, programFailure, programOutput } from '../run-program.ts';
import type { ServerAddress } from '../server-address.ts';

export interface DumpPrograms {
  readonly dump: ProgramFolder;
  readonly restore: ProgramFolder;
}

/** Both ends of it. */
export interface Ends {
  readonly from: ServerAddress;
  /** The database of the past. */
  readonly source: string;
  readonly to: ServerAddress;
  /** Named in the address that was given. */
  readonly database: string | undefined;
  readonly stamp: string;
}

/** Rejects with `TOOL_MISSING`. */
export async function programsFor(
  majors: { readonly from: number; readonly to: number },
  { programFolders }: PostgresOptions,
  signal: AbortSignal,
): Promise<DumpPrograms> {
  const dump = await dumpProgram(majors.from, programFolders, signal);
  const archive = { archive: dump.major, server: majors.to };
  return { dump, restore: await restoreProgram(archive, programFolders, signal) };
}

export function programsFinding({ dump, restore }: DumpPrograms): Finding {
  const message = `pg_dump ${dump.version} and pg_restore ${restore.version}`;
  return { aspect: 'programs', outcome: 'passed', message };
}

export interface Across {
  readonly programs: DumpPrograms;
  readonly from: DumpEnd;
  readonly to: DumpEnd;
  /** For people: `table public.orders`. */
  readonly what: string;
  readonly onBytes: (count: number) => void;
}

export interface DumpEnd {
  readonly address: ServerAddress;
  readonly database: string;
  readonly flags: readonly string[];
}

export async function dumpAcross({ programs, from, to, what, onBytes }: Across, signal: AbortSignal): Promise<void> {
  const dump = {
    ...({ folder: programs.dump.folder, program: 'pg_dump', address: from.address } as const),
    // Not compressed: it stays on this machine.
    arguments: ['--format=custom', '--compress=0', '--no-password', ...from.flags, connectionString(from.database)],
  };
  const restore = {
    ...({ folder: programs.restore.folder, program: 'pg_restore', address: to.address } as const),
    arguments: ['--exit-on-error', '--no-password', ...to.flags, '--dbname', connectionString(to.database)],
  };
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of programOutput(dump, signal)) {
        onBytes(chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw programFailure(error, { what: `the dump of ${what}`, code: 'SOURCE_FAILED' });
    }
  };
  try {
    await feedProgram(restore, counted(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw withMissing(programFailure(error, { what: `the restore of ${what}`, code: 'RESTORE_FAILED' }));
  }
}

/** What a table refers to does not come with it. */
function withMissing(error: unknown): unknown {
  if (!isAppError(error, 'RESTORE_FAILED') || !/does not exist/.test(error.message)) return error;
  return new AppError('RESTORE_FAILED', error.message, {
    hint: 'Create what is missing there (types, functions, extensions do not come with single tables), or take the whole database.',
    cause: error,
  });
}
