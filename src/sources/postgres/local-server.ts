// A throw-away PostgreSQL server on loopback: for proofs, demonstrations and tests. It holds real data for a while, so it
// lets in one user with a random password only, and its folder goes when it stops.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../base/errors.ts';
import { makeThrowAwayFolder, type ThrowAwayFolder } from '../../base/throw-away-folder.ts';
import { connect } from './connection.ts';
import type { ServerAddress } from './server-address.ts';
import {
  collectMessages,
  freePort,
  hasEnded,
  isOpenToAll,
  type ProgramPlace,
  reachablePrograms,
  serverAccount,
  spawnServerProgram,
  stopServer,
} from './server-process.ts';
import type { ServerPrograms } from './server-programs.ts';

export interface LocalServer extends AsyncDisposable {
  readonly address: ServerAddress;
  readonly major: number;
  readonly version: string;
  /** Of the postmaster. */
  readonly pid: number;
}

export interface LocalServerOptions {
  /** Where its folder is made; the machine's temporary folder if absent. */
  readonly parentFolder?: string | undefined;
  /** More `name=value` settings. */
  readonly settings?: readonly string[] | undefined;
}

const superuser = 'lifeboat';
const startAttemptsMax = 3;
export const readyWaitMaxMs = 60_000;

export async function startLocalServer(
  programs: ServerPrograms,
  options: LocalServerOptions,
  signal: AbortSignal,
): Promise<LocalServer> {
  signal.throwIfAborted();
  const place = await makeServerPlace(programs, options.parentFolder);
  try {
    const made = await makeDataFolder(place, signal);
    const server = await startInPlace(place, { ...made, settings: options.settings ?? [], readyWaitMaxMs }, signal);
    return {
      ...server,
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

/** A folder for one throw-away server, with programs that its account can run; it goes when it is closed. */
export interface ServerPlace extends ProgramPlace, AsyncDisposable {
  readonly programs: ServerPrograms;
  readonly guard: ThrowAwayFolder['guard'];
}

export async function makeServerPlace(programs: ServerPrograms, parentFolder: string = tmpdir()): Promise<ServerPlace> {
  const account = serverAccount();
  if (account !== undefined && !(await isOpenToAll(parentFolder))) {
    throw new AppError('INCONCLUSIVE', `the account that runs the server may not enter ${parentFolder}`, {
      hint: 'Choose a temporary folder that every account may enter; what is made in it is closed to others.',
    });
  }
  const throwAway = await makeThrowAwayFolder(parentFolder, 'postgres');
  const folder = throwAway.path;
  try {
    if (account !== undefined) await chown(folder, account.uid, account.gid);
    return {
      programFolder: await reachablePrograms(programs, folder, account),
      folder,
      account,
      programs,
      guard: (child, signalName) => throwAway.guard(child, signalName),
      [Symbol.asyncDispose]: () => throwAway[Symbol.asyncDispose](),
    };
  } catch (error) {
    await throwAway[Symbol.asyncDispose]();
    throw error;
  }
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface StartOptions {
  readonly dataFolder: string;
  /** More `name=value` settings. */
  readonly settings: readonly string[];
  /** Whom the server lets in, and where to. */
  readonly login: Login;
  /** One that is free if absent. */
  readonly port?: number | undefined;
  /** A server that must replay much takes its time. */
  readonly readyWaitMaxMs: number;
}

/** Starts a server on a data directory in a place made for it. Closing it stops it; the place stays. */
export async function startInPlace(
  place: ServerPlace,
  options: StartOptions,
  signal: AbortSignal,
): Promise<LocalServer> {
  for (let attempt = 1; ; attempt += 1) {
    const server = await start(place, options, signal);
    if (server !== 'port taken') return server;
    if (attempt === startAttemptsMax) throw startFailed('no free port was found', undefined);
  }
}

/** A new data directory in a place, with one superuser of a random password. */
export async function makeDataFolder(
  place: ServerPlace,
  signal: AbortSignal,
): Promise<Pick<StartOptions, 'dataFolder' | 'login'>> {
  const password = randomBytes(24).toString('base64url');
  await initialise(place, password, signal);
  return { dataFolder: join(place.folder, 'data'), login: { user: superuser, password, database: 'postgres' } };
}

async function initialise(place: ServerPlace, password: string, signal: AbortSignal): Promise<void> {
  const passwordFile = join(place.folder, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (place.account !== undefined) await chown(passwordFile, place.account.uid, place.account.gid);
  const child = spawnServerProgram(place, 'initdb', [
    '--pgdata',
    join(place.folder, 'data'),
    '--username',
    superuser,
    '--pwfile',
    passwordFile,
    '--auth',
    'scram-sha-256',
    '--encoding',
    'UTF8',
    '--locale',
    'C',
    '--no-sync',
    '--no-instructions',
    // As 18 does by itself: what a disk spoils while something is proven must not pass for damage of the backup.
    '--data-checksums',
  ]);
  place.guard(child, 'TERM');
  const messages = collectMessages(child);
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [code] = await once(child, 'close');
    signal.throwIfAborted();
    if (code !== 0) throw startFailed(`initdb ended with ${String(code)}: ${messages()}`, undefined);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AppError ? error : startFailed('initdb can not be run', error);
  } finally {
    signal.removeEventListener('abort', stop);
    await rm(passwordFile, { force: true });
  }
  // Restored roles may carry passwords of production: nobody but the one superuser gets in.
  const rules = `host all ${superuser} 127.0.0.1/32 scram-sha-256\nhost replication ${superuser} 127.0.0.1/32 scram-sha-256\n`;
  await writeFile(join(place.folder, 'data', 'pg_hba.conf'), rules);
}

function startFailed(message: string, cause: unknown): AppError {
  return new AppError('INCONCLUSIVE', `a throw-away PostgreSQL server did not start: ${message}`, {
    hint: 'Check that the temporary folder has space and allows programs to be run.',
    cause,
  });
}

async function start(
  place: ServerPlace,
  { dataFolder, login, settings, readyWaitMaxMs: waitMaxMs, port: wantedPort }: StartOptions,
  signal: AbortSignal,
): Promise<LocalServer | 'port taken'> {
  const port = wantedPort ?? (await freePort());
  const all = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'logging_collector=off',
    // What is thrown away need not survive a power cut.
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'max_wal_size=4GB',
    ...settings,
  ];
  const flags = all.flatMap((setting) => ['-c', setting]);
  const child = spawnServerProgram(place, 'postgres', ['-D', dataFolder, ...flags]);
  place.guard(child, 'QUIT'); // Ends all its children at once, too.
  const messages = collectMessages(child);
  const { database, user, password } = login;
  const address: ServerAddress = { host: '127.0.0.1', port, user, password, ssl: { mode: 'disable' } };
  try {
    await untilReady({ address, database, child, waitMaxMs }, signal);
  } catch (error) {
    await stopServer(child);
    if (/Address already in use|could not create any TCP/.test(messages())) return 'port taken';
    signal.throwIfAborted();
    throw startFailed(messages(), error);
  }
  return {
    address,
    pid: child.pid ?? 0,
    major: place.programs.major,
    version: place.programs.version,
    [Symbol.asyncDispose]: () => stopServer(child),
  };
}

interface Starting {
  readonly address: ServerAddress;
  readonly database: string;
  readonly child: ChildProcess;
  readonly waitMaxMs: number;
}

async function untilReady({ address, database, child, waitMaxMs }: Starting, signal: AbortSignal): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  const deadline = AbortSignal.timeout(waitMaxMs);
  for (;;) {
    signal.throwIfAborted();
    deadline.throwIfAborted();
    if (failure !== undefined) throw failure;
    if (hasEnded(child)) throw new Error('the server ended by itself');
    try {
      await using connection = await connect(address, database, signal);
      await connection.query('SELECT 1');
      return;
    } catch {
      await sleep(50, undefined, { signal });
    }
  }
}
