// The part of the composition root that the demonstration needs: its servers, and commands in its folder. Loaded only then.
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { AppError, isAppError } from './base/errors.ts';
import type { CommandContext } from './cli/context.ts';
import type { Style } from './cli/style.ts';
import { demoOptions } from './config/demo-options.ts';
import { programFolders, variable, type Environment } from './config/environment.ts';
import { resolveOptions } from './config/options.ts';
import type { DemoCache, DemoDatabase, DemoParts } from './demo/parts.ts';
import { connect } from './sources/postgres/connection.ts';
import { makeDataFolder, makeServerPlace, readyWaitMaxMs, startInPlace } from './sources/postgres/local-server.ts';
import { isPhysicalMajor } from './sources/postgres/method.ts';
import { isOpenToAll, serverAccount } from './sources/postgres/server-process.ts';
import { findServers, type ServerPrograms } from './sources/postgres/server-programs.ts';
import { connectRedis } from './sources/redis/connection.ts';
import { startLocalServer as startRedis } from './sources/redis/local-server.ts';

/** The user's own servers, repositories and passwords are no part of the demonstration. */
const kept = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'NODE_DISABLE_COMPILE_CACHE'];

export interface DemoPlace {
  readonly environment: Environment;
  readonly launcherPath: string;
  readonly style: Style;
  readonly contextIn: (folder: string, environment: Environment) => CommandContext;
}

export function demoParts({ environment, launcherPath, style, contextIn }: DemoPlace): DemoParts {
  const { scale } = resolveOptions(demoOptions, { flags: {}, environment }).values;
  const folders = programFolders(environment);
  return {
    scale,
    workingFolder: environment.workingFolder,
    temporaryFolder: tmpdir(),
    programSeenFrom,
    isOpenToServers: async (folder) => serverAccount() === undefined || (await isOpenToAll(folder)),
    startDatabase: (parentFolder, signal) => startDatabase(folders, parentFolder, signal),
    startCache: (parentFolder, signal) => startCache(folders, parentFolder, signal),
    contextIn: (folder) => contextIn(folder, environmentIn(folder, environment)),
    launcherIn: (folder) => {
      const { variables } = environmentIn(folder, environment);
      return { launcherPath, workingFolder: folder, variables };
    },
    style,
  };
}

function environmentIn(folder: string, environment: Environment): Environment {
  const own = Object.fromEntries(kept.map((name) => [name, variable(environment, name)]));
  return { ...environment, workingFolder: folder, variables: { ...own, XDG_STATE_HOME: join(folder, 'state') } };
}

/** Whichever is shorter of the ways to it, and works from there. */
function programSeenFrom(folder: string): string {
  const program = join(import.meta.dirname, '..', 'bin', 'lifeboat.js');
  const path = relative(folder, program);
  return path.length < program.length ? path : program;
}

/** PostgreSQL lets nobody see what is not on its way to the disk; without the disk itself, as all of this is thrown away. */
const databaseSettings = ['wal_level=replica', 'synchronous_commit=on', 'full_page_writes=on'];
/** From 17 on the server notes which blocks change, so that a backup brings these alone. */
const summarizesFrom = 17;

async function startDatabase(
  folders: readonly string[],
  parentFolder: string,
  signal: AbortSignal,
): Promise<DemoDatabase> {
  const programs = await newestServer(folders, signal);
  const settings = [...databaseSettings, ...(programs.major >= summarizesFrom ? ['summarize_wal=on'] : [])];
  const place = await makeServerPlace(programs, parentFolder);
  try {
    const { dataFolder, login } = await makeDataFolder(place, signal);
    const common = { login, settings, readyWaitMaxMs };
    let server = await startInPlace(place, { dataFolder, ...common }, signal);
    const { address } = server;
    const restoreFolder = join(place.folder, 'restored');
    return {
      get pid() {
        return server.pid;
      },
      version: server.version,
      host: address.host,
      port: address.port,
      user: address.user,
      password: login.password,
      dataFolder,
      restoreFolder,
      stop: async () => server[Symbol.asyncDispose](),
      async startRestored(startSignal) {
        server = await startInPlace(place, { dataFolder: restoreFolder, port: address.port, ...common }, startSignal);
      },
      connect: (database, connectSignal) => connect(address, database, connectSignal),
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await place[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

async function newestServer(folders: readonly string[], signal: AbortSignal): Promise<ServerPrograms> {
  const servers = await findServers(folders, signal);
  const newest = servers.find(({ major }) => isPhysicalMajor(major));
  if (newest !== undefined) return newest;
  throw new AppError('TOOL_MISSING', 'there is no PostgreSQL server to start on this machine', {
    hint: "Run 'npm ci' with its optional packages, or install the package postgresql, then start again.",
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
