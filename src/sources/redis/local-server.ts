// A throw-away redis-server of our own: for proofs, and for tests. It lives in a private temporary folder, listens on a
// unix socket there (and on a loopback port only if asked), writes nothing by itself, and is stopped by its pid.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';
import { makeThrowAwayFolder, type ThrowAwayFolder } from '../../base/throw-away-folder.ts';
import { programEnvironment } from '../../base/program-environment.ts';
import { connectRedis, type RedisAddress } from './connection.ts';

export interface LocalServer extends AsyncDisposable {
  /** Of the unix socket. */
  readonly address: RedisAddress;
  readonly folder: string;
  readonly pid: number;
  readonly version: string;
}

export interface LocalServerOptions {
  /** Further lines of its configuration, `appendonly yes`; they never reach a command line. */
  readonly settings?: readonly string[];
  /** Fills the folder before the server starts. */
  readonly prepare?: (folder: string) => Promise<void>;
  /** Where its private folder is created. */
  readonly parentFolder?: string;
  readonly program?: string;
  /** Where it is looked for: the PATH. */
  readonly programFolders?: readonly string[] | undefined;
  /** What the settings demand of those who connect. */
  readonly username?: string;
  readonly password?: string;
}

const startMaxMs = 10 * 60_000;
const pollMs = 20;
const logBytesMax = 8192;

/** Starts it and waits until it has loaded what is in its folder. */
export async function startLocalServer(options: LocalServerOptions, signal: AbortSignal): Promise<LocalServer> {
  signal.throwIfAborted();
  const throwAway = await makeThrowAwayFolder(options.parentFolder ?? tmpdir(), 'redis');
  try {
    await options.prepare?.(throwAway.path);
    return await startIn(throwAway, options, signal);
  } catch (error) {
    await throwAway[Symbol.asyncDispose]();
    throw error;
  }
}

async function startIn(
  throwAway: ThrowAwayFolder,
  options: LocalServerOptions,
  signal: AbortSignal,
): Promise<LocalServer> {
  const folder = throwAway.path;
  const socketPath = join(folder, 's');
  const program = options.program ?? 'redis-server';
  const env = programEnvironment(options.programFolders);
  const server = spawn(program, ['-'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'], detached: false });
  throwAway.guard(server, 'KILL'); // It holds nothing that is to be kept.
  const log = keepLog(server);
  const exited = once(server, 'exit').then(
    () => undefined,
    (error: unknown) => error,
  );
  // A program that is missing breaks the pipe as well; `exited` carries the reason.
  server.stdin.on('error', () => undefined);
  server.stdin.end(configuration(folder, socketPath, options.settings ?? []));
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null && server.pid !== undefined) server.kill('SIGKILL');
    await exited;
  };
  const { username, password } = options;
  const address: RedisAddress = { host: '', port: 0, socketPath, username, password };
  try {
    const version = await untilReady({ address, server, exited, log, program }, signal);
    const close = async () => {
      await stop();
      await throwAway[Symbol.asyncDispose]();
    };
    return { address, folder, pid: server.pid ?? 0, version, [Symbol.asyncDispose]: close };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configuration(folder: string, socketPath: string, settings: readonly string[]): string {
  const lines = [
    'port 0',
    `unixsocket "${socketPath}"`,
    'unixsocketperm 700',
    `dir "${folder}"`,
    'dbfilename dump.rdb',
    'save ""',
    'appendonly no',
    'daemonize no',
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    ...settings,
  ];
  return `${lines.join('\n')}\n`;
}

interface Starting {
  readonly address: RedisAddress;
  readonly server: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly log: () => string;
  readonly program: string;
}

async function untilReady(starting: Starting, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(startMaxMs)]);
  let isOver = false;
  void starting.exited.then(() => (isOver = true));
  for (;;) {
    if (isOver) throw await startFailure(starting);
    try {
      await using connection = await connectRedis(starting.address, limit);
      const info = await connection.text('INFO', 'server');
      return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown';
    } catch (error) {
      if (limit.aborted && !signal.aborted) throw notReady();
      // Not there yet, or still loading its data.
      if (!isAppError(error, 'SOURCE_UNREACHABLE', 'SOURCE_FAILED')) throw error;
      await sleep(pollMs, undefined, { signal });
    }
  }
}

async function startFailure(starting: Starting): Promise<AppError> {
  const error = await starting.exited;
  // EACCES: a folder of the path that this user may not enter was looked into last.
  if (['ENOENT', 'EACCES'].includes(errnoOf(error) ?? '')) return programMissing(starting.program, error);
  const log = starting.log();
  if (/can't handle RDB format version|no matching module|module data I can't load/i.test(log)) {
    return new AppError('INCONCLUSIVE', `the redis-server of this machine can't load the data: ${log}`, {
      hint: 'Install a redis-server of the version, and with the modules, of the server backed up.',
      cause: error,
    });
  }
  return new AppError('RESTORE_FAILED', `redis-server ended at once: ${log}`, {
    hint: 'The data may be damaged: choose another recovery point, and look into the log line.',
    cause: error,
  });
}

function notReady(): AppError {
  return new AppError('TIMED_OUT', `redis-server did not load its data within ${startMaxMs / 60_000} minutes`, {
    hint: 'Run the proof on a faster machine.',
  });
}

export function programMissing(program: string, cause: unknown): AppError {
  return new AppError('TOOL_MISSING', `there is no program ${program} on this machine`, {
    hint: 'Install the package redis-server (Debian, Ubuntu), redis (others), or valkey.',
    cause,
  });
}

/** Its last two warnings, without date and process: the reason, and that it therefore ends. They hold no values. */
function keepLog(server: ChildProcess): () => string {
  let text = '';
  const keep = (chunk: Buffer) => (text = (text + chunk.toString('latin1')).slice(-logBytesMax));
  server.stdout?.on('data', keep);
  server.stderr?.on('data', keep);
  return () => {
    const lines = text.trim().split('\n');
    const warnings = lines.flatMap((line) => /^\d+:\w .*? # (.*)$/.exec(line)?.[1] ?? []);
    return (warnings.length > 0 ? warnings : lines).slice(-2).join(' ');
  };
}

const memoryFolder = '/dev/shm';

/** A place for data in clear: memory where there is enough of it, else the folder for temporary files. */
export async function privateParentFolder(neededBytes: number): Promise<string> {
  try {
    await access(memoryFolder, constants.W_OK);
    const { bavail, bsize } = await statfs(memoryFolder);
    return bavail * bsize > neededBytes * 2 ? memoryFolder : tmpdir();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return tmpdir();
  }
}
