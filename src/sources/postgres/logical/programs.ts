// Finds PostgreSQL's own programs. Several majors live side by side on one machine, and which one fits depends on the
// server: pg_dump refuses servers newer than itself, and an archive wants a pg_restore at least as new as its pg_dump.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, glob } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../../base/errors.ts';

export type ClientProgram = 'pg_dump' | 'pg_dumpall' | 'pg_restore';
export type ServerProgram = 'initdb' | 'postgres';

/** A folder that holds programs of one PostgreSQL version. */
export interface ProgramFolder {
  readonly folder: string;
  readonly major: number;
  /** `15.18`, `18beta1`. */
  readonly version: string;
}

/** Where packages of Debian, Red Hat and Homebrew put each major. */
const knownFolders = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/opt/homebrew/opt/{postgresql@*,libpq}/bin',
  '/usr/local/opt/{postgresql@*,libpq}/bin',
];

/** Every installed version of `program`, newest first; `searchFolders` (the PATH) come after the known places. */
export async function findProgram(
  program: ClientProgram | ServerProgram,
  searchFolders: readonly string[],
  signal: AbortSignal,
): Promise<ProgramFolder[]> {
  const folders = [...(await Array.fromAsync(glob(knownFolders))), ...searchFolders];
  const byMajor = new Map<number, ProgramFolder>();
  for (const folder of new Set(folders)) {
    const version = await versionOf(join(folder, program), signal);
    if (version === undefined) continue;
    const major = Number.parseInt(version, 10);
    if (!byMajor.has(major)) byMajor.set(major, { folder, major, version });
  }
  return [...byMajor.values()].toSorted((left, right) => right.major - left.major);
}

/** The pg_dump for a server: the same major if there is one, else the next newer one. */
export async function dumpProgram(
  serverMajor: number,
  searchFolders: readonly string[],
  signal: AbortSignal,
): Promise<ProgramFolder> {
  const found = await findProgram('pg_dump', searchFolders, signal);
  return found.findLast(({ major }) => major >= serverMajor) ?? missing('pg_dump', { major: serverMajor, found });
}

/**
 * The pg_restore for an archive and a server. A newer one than the server may send settings that the server does not know,
 * so the server's own major is preferred wherever it can read the archive.
 */
export async function restoreProgram(
  majors: { readonly archive: number; readonly server: number },
  searchFolders: readonly string[],
  signal: AbortSignal,
): Promise<ProgramFolder> {
  const found = await findProgram('pg_restore', searchFolders, signal);
  const major = Math.max(majors.archive, majors.server);
  const readable = found.filter((one) => one.major >= majors.archive);
  return (
    readable.findLast((one) => one.major >= major) ??
    readable[0] ??
    missing('pg_restore', { major: majors.archive, found })
  );
}

function missing(
  program: ClientProgram,
  { major, found }: { readonly major: number; readonly found: readonly ProgramFolder[] },
): never {
  const others = found.map(({ version, folder }) => `${version} in ${folder}`).join(', ');
  const seen = others === '' ? `none in ${knownFolders.join(', ')} or the PATH` : `only ${others}`;
  throw new AppError('TOOL_MISSING', `no ${program} of version ${major} or newer: ${seen}`, {
    hint: `Install the package postgresql-client-${major} (Debian, Ubuntu) or postgresql${major} (Red Hat).`,
  });
}

const versionPattern = /\(PostgreSQL\) (\d[\w.]*)/;

async function versionOf(path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK);
  } catch {
    return undefined; // Not in this folder.
  }
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], {
      env: { LC_ALL: 'C' },
      signal,
      timeout: 10_000,
    });
    return versionPattern.exec(stdout)?.[1];
  } catch {
    signal.throwIfAborted();
    return undefined; // A wrapper without a PostgreSQL behind it, or a program of another architecture.
  }
}
