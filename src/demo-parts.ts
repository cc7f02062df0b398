// The part of the composition root that the demonstration needs: its servers, and commands in its folder. Loaded only then.
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { AppError, isAppError } from './base/errors.ts';
import type { CommandContext } from './cli/context.ts';
import { demoOptions } from './config/demo-options.ts';
import { programFolders, variable, type Environment } from './config/environment.ts';
import { resolveOptions } from './config/options.ts';
import type { DemoCache, DemoDatabase, DemoParts } from './demo/parts.ts';
import { connect } from './sources/postgres/connection.ts';
import { startLocalServer as startPostgres } from './sources/postgres/local-server.ts';
import { findProgram } from './sources/postgres/logical/programs.ts';
import { findServers, type ServerPrograms } from './sources/postgres/server-programs.ts';
import { connectRedis } from './sources/redis/connection.ts';
import { startLocalServer as startRedis } from './sources/redis/local-server.ts';

export function demoParts(
  environment: Environment,
  contextIn: (folder: string, environment: Environment) => CommandContext,
): DemoParts {
  const { scale } = resolveOptions(demoOptions, { flags: {}, environment }).values;
  const folders = programFolders(environment);
  return {
    scale,
    workingFolder: environment.workingFolder,
    isRoot: process.getuid?.() === 0,
    temporaryFolder: tmpdir(),
    programSeenFrom,
    startDatabase: (parentFolder, signal) => startDatabase(folders, parentFolder, signal),
    startCache: (parentFolder, signal) => startCache(folders, parentFolder, signal),
    contextIn: (folder, variables) =>
      contextIn(folder, {
        ...environment,
        workingFolder: folder,
        // The user's own servers, repositories and passwords are no part of the demonstration.
        variables: { PATH: variable(environment, 'PATH'), ...variables },
      }),
  };
}

/** Whichever is shorter of the ways to it, and works from there. */
function programSeenFrom(folder: string): string {
  const program = join(import.meta.dirname, '..', 'bin', 'lifeboat.js');
  const path = relative(folder, program);
  return path.length < program.length ? path : program;
}

async function startDatabase(
  folders: readonly string[],
  parentFolder: string,
  signal: AbortSignal,
): Promise<DemoDatabase> {
  const programs = await backableServer(folders, signal);
  const server = await startPostgres(programs, { parentFolder }, signal);
  const { host, port, user, password = '' } = server.address;
  return {
    pid: server.pid,
    version: server.version,
    host,
    port,
    user,
    password,
    connect: (database, connectSignal) => connect(server.address, database, connectSignal),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The server of the newest pg_dump's own major, else the newest that a pg_dump here can back up. */
async function backableServer(folders: readonly string[], signal: AbortSignal): Promise<ServerPrograms> {
  const servers = await findServers(folders, signal);
  const dumps = await findProgram('pg_dump', folders, signal);
  const newest = dumps[0];
  const fitting =
    servers.find(({ major }) => major === newest?.major) ??
    servers.find(({ major }) => newest !== undefined && major <= newest.major);
  if (fitting !== undefined) return fitting;
  if (newest === undefined) {
    throw new AppError('TOOL_MISSING', 'there is no pg_dump on this machine, so PostgreSQL could not be backed up', {
      hint: 'Install the package postgresql-client-15 (Debian 12), postgresql-client (other Debian, Ubuntu) or postgresql (Red Hat), then start again.',
    });
  }
  throw new AppError('TOOL_MISSING', `no PostgreSQL server to start here for pg_dump ${newest.version}`, {
    hint: `Run 'npm ci' with its optional packages, or install postgresql-${newest.major}, then start again.`,
  });
}

async function startCache(folders: readonly string[], parentFolder: string, signal: AbortSignal): Promise<DemoCache> {
  const server = await startRedis({ parentFolder, programFolders: folders }, signal).catch((error: unknown) => {
    if (!isAppError(error, 'RESTORE_FAILED')) throw error;
    // There are no data yet that could be damaged.
    throw new AppError('TOOL_MISSING', `redis-server can't be started: ${error.message}`, {
      hint: 'Install the package redis-server anew, then start again.',
      cause: error,
    });
  });
  const { socketPath = '' } = server.address;
  return {
    pid: server.pid,
    version: server.version,
    socketPath,
    connect: (connectSignal) => connectRedis(server.address, connectSignal),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
