// Lets a standby take over: it ends its recovery, and a server runs on it that takes changes and stays when we are gone.
import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, errnoOf } from '../../../base/errors.ts';
import type { ReplayInstant } from '../../replay.ts';
import type { StandbyEnd, StandbyRequest } from '../../standby.ts';
import type { PostgresOptions } from '../options.ts';
import { writeDurably } from '../recovery/data-folder.ts';
import { notReached, controlOf } from '../recovery/recovering-server.ts';
import { ownSettingsFile } from '../recovery/recovery-settings.ts';
import { collectMessages, freePort, isOpenToAll, spawnServerProgram } from '../server-process.ts';
import type { ControlFile } from '../wal/control-file.ts';
import {
  dataFolderOf,
  emergencyFolderOf,
  findStandby,
  openStandby,
  serverOn,
  type StandbyCopy,
} from './standby-copy.ts';
import type { StandbyRun } from './standby-run.ts';
import type { StandbyServer } from './standby-server.ts';
import { writeStandbyState } from './standby-state.ts';

interface TakingOver {
  readonly request: StandbyRequest;
  readonly copy: StandbyCopy;
  readonly server: StandbyServer;
  readonly run: StandbyRun;
}

/** Said before it begins: after a crash in between nobody takes the folder for one that can be written anew. */
export async function takeOver({ request, copy, server, run }: TakingOver, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await writeStandbyState(request.folder, { ...run.state, isPromoted: true });
  run.supply.hurry();
  await server.promote();
  await server.watch.promotedOrEnded();
  if (!server.watch.isPromoted) throw notReached(server.watch.complaints || 'it ended');
  await server[Symbol.asyncDispose]();
  const { state } = await controlOf(copy.dataFolder);
  if (state !== 'shut down') throw notReached(`it ended in the state '${state}'`);
}

interface Promoted {
  readonly options: PostgresOptions;
  readonly request: StandbyRequest;
  readonly reached?: ReplayInstant | undefined;
  /** Whether it is known that the journal holds no more. */
  readonly isJournalKnown?: boolean | undefined;
}

/** Starts the server of a standby that was promoted, or tells of the one that runs. */
export async function startPromoted(
  { options, request, reached, isJournalKnown = true }: Promoted,
  signal: AbortSignal,
): Promise<StandbyEnd & { kind: 'promoted' }> {
  const { folder } = request;
  const found = await findStandby(folder);
  if (found === undefined) throw new Error('what was promoted is there');
  const place = emergencyFolderOf(folder);
  const running = await runningIn(folder);
  const server =
    running ??
    (await startEmergency(
      await openStandby(options, { request, state: found.state }, signal),
      { control: found.control, place },
      signal,
    ));
  return {
    kind: 'promoted',
    description: `PostgreSQL ${found.state.serverMajor}`,
    reached: reached ?? { position: found.state.replayedLsn },
    connection: server.connection,
    dataFolder: dataFolderOf(folder),
    settingsFolder: place,
    notes: [
      ...(isJournalKnown ? [] : ['the repository did not answer: the journal may hold more than what it has']),
      `it listens on 127.0.0.1:${server.port}, for the roles of the original with their passwords`,
      'its settings are few and ours; what ALTER SYSTEM had set is in original-settings.conf beside them',
      'keep the original from starting again, and back this one up now',
    ],
  };
}

interface Running {
  readonly port: number;
  readonly connection: string;
}

const waitMaxSeconds = 600;
const connectionFile = 'connection.json';
/** The name of a socket in it may not have more than 107 characters. */
const socketFolderMax = 85;

async function startEmergency(
  copy: StandbyCopy,
  { control, place }: { readonly control: ControlFile; readonly place: string },
  signal: AbortSignal,
): Promise<Running> {
  const { account, programs } = copy;
  if (account !== undefined && !(await isOpenToAll(programs.folder))) {
    throw new AppError(
      'SOURCE_UNREACHABLE',
      `the standby is promoted, but its account may not run ${programs.folder}`,
      {
        hint: `Install PostgreSQL ${copy.major} where every account may run it, and promote again.`,
      },
    );
  }
  signal.throwIfAborted();
  // What somebody changed since the first time stays as it is.
  const running = (await writtenBefore(place)) ?? (await writeEmergency(copy, control, place));
  const log = join(place, 'server.log');
  const child = spawnServerProgram({ programFolder: programs.folder, folder: place, account }, 'pg_ctl', [
    '-D',
    place,
    '-l',
    log,
    '-w',
    '-t',
    String(waitMaxSeconds),
    'start',
  ]);
  const messages = collectMessages(child);
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const [code] = (await once(child, 'exit')) as [number | null];
  signal.removeEventListener('abort', stop);
  if (code === 0) return running;
  if (signal.aborted) {
    // Nobody would be told of it. Promoted it stays, and is started by whoever promotes it again.
    const pid = await serverOn(copy.dataFolder);
    if (pid !== undefined) process.kill(pid, 'SIGINT');
    throw signal.reason;
  }
  const said = (await readIfThere(log))?.split('\n').findLast((one) => /(?:FATAL|PANIC): {2}/.test(one));
  throw new AppError(
    'SOURCE_UNREACHABLE',
    `the standby is promoted, but no server starts on it: ${said ?? messages()}`,
    {
      hint: `Read ${log}, mend what it names, and promote again.`,
    },
  );
}

async function writtenBefore(place: string): Promise<Running | undefined> {
  const text = await readIfThere(join(place, connectionFile));
  return text === undefined ? undefined : (JSON.parse(text) as Running);
}

async function writeEmergency(copy: StandbyCopy, control: ControlFile, place: string): Promise<Running> {
  const { account, dataFolder, superuser } = copy;
  await mkdir(place, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const socket = await makeSocketPlace(place, account);
  await keepOriginalSettings(dataFolder, place, account);
  const files: Record<string, string> = {
    'postgresql.conf': settingsText(control, { dataFolder, socket, port }),
    'pg_hba.conf': accessText(superuser),
    'pg_ident.conf': '',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text, { mode: 0o600 });
  if (account !== undefined) {
    for (const name of ['', ...Object.keys(files)]) await chown(join(place, name), account.uid, account.gid);
  }
  const running = { port, connection: line(socket, port, superuser) };
  // Last: it says that all is there.
  await writeDurably(join(place, connectionFile), Buffer.from(JSON.stringify(running)));
  return running;
}

/** Closed to all but the server's account. Where the path is too long it lies in the machine's temporary folder. */
async function makeSocketPlace(place: string, account: StandbyCopy['account']): Promise<string> {
  const own = join(place, 'socket');
  const folder = own.length <= socketFolderMax ? own : await mkdtemp(join(tmpdir(), 'lifeboat-emergency-'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  return folder;
}

/** They name places, ports and archives of the original. */
async function keepOriginalSettings(dataFolder: string, place: string, account: StandbyCopy['account']): Promise<void> {
  const own = join(dataFolder, ownSettingsFile);
  const kept = join(place, 'original-settings.conf');
  const text = await readIfThere(own);
  if ((await readIfThere(kept)) === undefined) await writeDurably(kept, Buffer.from(text ?? ''), account);
  await writeDurably(own, new Uint8Array(), account);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function line(socket: string, port: number, superuser: string): string {
  return `psql -h ${socket} -p ${port} -U ${superuser} postgres`;
}

interface EmergencyPlaces {
  readonly dataFolder: string;
  readonly socket: string;
  readonly port: number;
}

function settingsText(control: ControlFile, { dataFolder, socket, port }: EmergencyPlaces): string {
  const settings: Record<string, string | number> = {
    data_directory: dataFolder,
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: socket,
    wal_level: control.walLevel,
    track_commit_timestamp: control.tracksCommitTimes ? 'on' : 'off',
    ...control.limits,
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    // Nothing that reaches out of this machine: no archive of the original, no subscriptions.
    archive_mode: 'off',
    max_logical_replication_workers: 0,
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`);
  return `# Written by lifeboat for the emergency server. Change what you need; it is read at the start.\n${lines.join('')}`;
}

/** The socket lies in a folder that only the server's account and root may enter. */
function accessText(superuser: string): string {
  const name = `"${superuser.replaceAll('"', '""')}"`;
  return [`local all ${name} trust`, 'host all all 127.0.0.1/32 md5', 'host replication all 127.0.0.1/32 md5', ''].join(
    '\n',
  );
}

async function runningIn(folder: string): Promise<Running | undefined> {
  return (await serverOn(dataFolderOf(folder))) === undefined ? undefined : writtenBefore(emergencyFolderOf(folder));
}
