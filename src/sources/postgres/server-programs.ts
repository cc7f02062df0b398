// Finds PostgreSQL servers to start as throw-aways: Debian's and other packages of this machine, and the npm packages
// `postgres-<major>-<platform>-<arch>` that may be installed beside this program.
import { readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { AppError, errnoOf } from '../../base/errors.ts';
import { findProgram, type ProgramFolder } from './logical/programs.ts';

export interface ServerPrograms extends ProgramFolder {
  readonly origin: 'machine' | 'npm package';
  /** All that the programs need: copy this folder where they can't be reached as they are. */
  readonly root: string;
}

const packagedMajors = [18, 17, 16, 15, 14];

/** Servers that can be started here, newest first; a major of the machine itself goes before a packaged one. */
export async function findServers(searchFolders: readonly string[], signal: AbortSignal): Promise<ServerPrograms[]> {
  const ofMachine = await findProgram('initdb', searchFolders, signal);
  const servers: ServerPrograms[] = ofMachine.map((found) => ({
    ...found,
    origin: 'machine',
    root: dirname(found.folder),
  }));
  for (const major of packagedMajors) {
    if (servers.some((server) => server.major === major)) continue;
    const packaged = await packagedServer(major);
    if (packaged !== undefined) servers.push(packaged);
  }
  return servers.toSorted((left, right) => right.major - left.major);
}

/** The server of one major, from the machine or a package; rejects with `TOOL_MISSING`. */
export async function findServer(
  major: number,
  searchFolders: readonly string[],
  signal: AbortSignal,
): Promise<ServerPrograms> {
  const servers = await findServers(searchFolders, signal);
  const server = servers.find((one) => one.major === major);
  if (server !== undefined) return server;
  const others = servers.map((one) => one.version).join(', ');
  throw new AppError('TOOL_MISSING', `no PostgreSQL ${major} server to start here (found: ${others || 'none'})`, {
    hint: `Install the package postgresql-${major} (Debian, Ubuntu) or postgresql${major}-server (Red Hat) on this machine.`,
  });
}

/** The server of an npm package, if that optional dependency was installed. */
export async function packagedServer(major: number): Promise<ServerPrograms | undefined> {
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(`postgres-${major}-${process.platform}-${process.arch}`);
  } catch {
    return undefined; // Not installed, or not there for this platform.
  }
  const folder = dirname(dirname(entry));
  const { version } = packageSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  const root = join(folder, 'native');
  return {
    folder: join(root, 'bin'),
    major,
    version: version.split('.', 2).join('.'),
    origin: 'npm package',
    root,
  };
}

const packageSchema = z.object({ version: z.string() });
const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * The package makes the links between its libraries in a script after its installation; where scripts are forbidden they
 * are missing and the server does not load. Another process may be making them at the same time. Tells whether all are there.
 */
export async function completeLinks(root: string): Promise<boolean> {
  const text = await readFile(join(root, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of linksSchema.parse(JSON.parse(text))) {
    const path = join(dirname(root), target);
    try {
      await symlink(relative(dirname(target), source), path);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') continue;
      if (['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
  }
  return true;
}
