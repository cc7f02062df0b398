// Opens a replication connection: finds a database that lets us in, agrees on TLS, proves who we are.
import { randomBytes } from 'node:crypto';
import findPassword from 'pgpass';
import { systemClock, type Clock } from '../../../base/clock.ts';
import type { ServerAddress } from '../server-address.ts';
import { sqlStateOf } from '../server-errors.ts';
import { Authentication } from './authentication.ts';
import { encodeStartup } from './frontend-messages.ts';
import { MessageChannel } from './message-channel.ts';
import { openSocket, type OpenSocket } from './open-socket.ts';
import { protocolError } from './protocol-error.ts';
import { ReplicationConnection } from './replication-connection.ts';
import { replicationError, replicationFailure } from './replication-error.ts';
import type { NoticeFields } from './server-notice.ts';
import { WireSession } from './wire-session.ts';

export interface ReplicationOptions {
  /** Tried in order; `replication=true`, which needs none, comes last. */
  readonly databases?: readonly string[] | undefined;
  /** How the server's views name us. Must not be one that synchronous_standby_names may hold. */
  readonly applicationName?: string | undefined;
  /** For this connection alone, such as `wal_sender_timeout`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly connectWaitMaxMs?: number | undefined;
  /** For commands that do no work. */
  readonly answerWaitMaxMs?: number | undefined;
  /** Between two pieces of a base backup, once its data has begun. */
  readonly dataWaitMaxMs?: number | undefined;
  /** How often the newest report of a WAL stream is repeated; never less often than a third of wal_sender_timeout. */
  readonly statusIntervalMs?: number | undefined;
  /** After how much silence the server of a WAL stream counts as gone. */
  readonly silenceMaxMs?: number | undefined;
  /** Warnings of the server, such as a file that it left out of a base backup. */
  readonly onNotice?: ((notice: NoticeFields) => void) | undefined;
  readonly clock?: Clock | undefined;
}

const connectWaitDefaultMs = 15_000;
const answerWaitDefaultMs = 60_000;
export const applicationNameDefault = 'lifeboat_wal_and_base_backup';
const databasesDefault = ['postgres', 'template1'];

/** Aborting ends the connection, whatever it does at that moment. */
export async function connectReplication(
  address: ServerAddress,
  options: ReplicationOptions,
  signal: AbortSignal,
): Promise<ReplicationConnection> {
  const failures: unknown[] = [];
  for (const database of [...(options.databases ?? databasesDefault), undefined]) {
    try {
      return await connectTo(address, { ...options, database }, signal);
    } catch (error) {
      if (!isAffairOfDatabase(error)) throw error;
      failures.push(error);
    }
  }
  throw failures.find((error) => sqlStateOf(error) !== databaseMissing) ?? failures[0];
}

const databaseMissing = '3D000';

/** No such database, one that takes no connections, no line in pg_hba.conf, no right to connect to it. */
const affairsOfDatabase = new Set([databaseMissing, '55000', '28000', '42501']);

/** Whether another database, or none, may let us in. */
function isAffairOfDatabase(error: unknown): boolean {
  return replicationFailure(error) !== 'no-replication-right' && affairsOfDatabase.has(sqlStateOf(error) ?? '');
}

interface Attempt extends ReplicationOptions {
  readonly database: string | undefined;
}

async function connectTo(
  address: ServerAddress,
  options: Attempt,
  signal: AbortSignal,
): Promise<ReplicationConnection> {
  signal.throwIfAborted();
  const { database, connectWaitMaxMs = connectWaitDefaultMs } = options;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error('connect timed out')), connectWaitMaxMs);
  let isEncrypted = false;
  try {
    const attemptSignal = AbortSignal.any([signal, late.signal]);
    const open = await openSocket(address, attemptSignal);
    isEncrypted = open.isEncrypted;
    return await start(open, { address, options }, { signal, attemptSignal });
  } catch (error) {
    signal.throwIfAborted();
    const failure = replicationError(error, address, database);
    if (!isEncrypted || address.ssl.mode !== 'prefer') throw failure;
    if (replicationFailure(failure) !== 'no-hba-line') throw failure;
    // Perhaps pg_hba.conf lets us in without TLS only.
    return await connectTo({ ...address, ssl: { mode: 'disable' } }, options, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function start(
  open: OpenSocket,
  { address, options }: { readonly address: ServerAddress; readonly options: Attempt },
  { signal, attemptSignal }: { readonly signal: AbortSignal; readonly attemptSignal: AbortSignal },
): Promise<ReplicationConnection> {
  const { database, onNotice = () => undefined, answerWaitMaxMs = answerWaitDefaultMs, clock = systemClock } = options;
  const channel = new MessageChannel(open.socket);
  const session = new WireSession(channel, { address, database, onNotice, answerWaitMaxMs, signal });
  const onAbort = (): void => channel.destroy(attemptSignal.reason as Error);
  attemptSignal.addEventListener('abort', onAbort, { once: true });
  open.socket.once('close', () => attemptSignal.removeEventListener('abort', onAbort));
  try {
    attemptSignal.throwIfAborted();
    channel.send(encodeStartup(startupParameters(address, options)));
    await authenticate(session, open, { ...address, password: await passwordOf(address, database) });
    for (let type = ''; type !== 'Z';) ({ type } = await session.nextMessage());
    session.isReady();
  } catch (error) {
    await session.close();
    throw error;
  }
  const version = session.parameters.get('server_version') ?? '';
  const facts = {
    version,
    major: Number.parseInt(version, 10),
    isStandby: session.parameters.get('in_hot_standby') === 'on',
    database,
    isEncrypted: open.isEncrypted,
  };
  return new ReplicationConnection(session, facts, { ...options, clock });
}

/** As the driver for SQL does: from the user's own password file if none is given. */
async function passwordOf(address: ServerAddress, database = 'replication'): Promise<string | undefined> {
  const { host, port, user, password } = address;
  if (password !== undefined) return password;
  return new Promise((found) => findPassword({ host, port, database, user }, found));
}

function startupParameters(address: ServerAddress, options: Attempt): Record<string, string> {
  const { database, settings = {}, applicationName = applicationNameDefault } = options;
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, '\\$&')}`);
  return {
    user: address.user,
    ...(database === undefined ? { replication: 'true' } : { database, replication: 'database' }),
    application_name: applicationName,
    client_encoding: 'UTF8',
    ...(flags.length === 0 ? {} : { options: flags.join(' ') }),
  };
}

async function authenticate(session: WireSession, open: OpenSocket, address: ServerAddress): Promise<void> {
  const authentication = new Authentication({
    user: address.user,
    password: address.password,
    nonce: randomBytes(18).toString('base64'),
    isEncrypted: open.isEncrypted,
    certificateHash: open.certificateHash,
  });
  for (;;) {
    const { type, body } = await session.nextMessage();
    if (type === 'v') continue; // The server would speak an older protocol than ours: no such server is supported.
    if (type !== 'R') throw protocolError(`a message '${type}' before authentication`);
    const answer = await authentication.next(body);
    if (answer === 'done') return;
    if (answer !== undefined) session.channel.send(answer);
  }
}
