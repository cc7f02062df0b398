// One connection to a PostgreSQL server, with settings that a backup needs, and every failure turned into a fact and a hint.
import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { AppError } from '../../base/errors.ts';
import type { ServerAddress } from './server-address.ts';
import { sourceError, sqlStateOf } from './server-errors.ts';
import { tlsOptions } from './tls-options.ts';

export interface Connection extends AsyncDisposable {
  readonly database: string;
  /** Rows of the statement, of the last one if there are several; rejects with an `AppError`. */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

const connectWaitMaxMs = 15_000;

/** Opens a connection; aborting ends it, whatever it does at that moment. */
export async function connect(address: ServerAddress, database: string, signal: AbortSignal): Promise<Connection> {
  signal.throwIfAborted();
  try {
    return await open(address, { database, ssl: (await tlsOptions(address)) ?? false }, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (address.ssl.mode === 'prefer' && mayPassInClear(error)) {
      return connect({ ...address, ssl: { mode: 'disable' } }, database, signal);
    }
    throw sourceError(error, address, database);
  }
}

/** Perhaps the server has no TLS, or pg_hba.conf lets us in without it only. */
function mayPassInClear(error: unknown): boolean {
  return /does not support SSL/.test(String(error)) || (sqlStateOf(error) === '28000' && /pg_hba/.test(String(error)));
}

interface OpenOptions {
  readonly database: string;
  readonly ssl: ConnectionOptions | false;
}

async function open(address: ServerAddress, { database, ssl }: OpenOptions, signal: AbortSignal): Promise<Connection> {
  signal.throwIfAborted();
  const socket = new Socket();
  const client = new pg.Client({
    stream: () => socket,
    host: address.host,
    port: address.port,
    user: address.user,
    database,
    ssl,
    // Else the driver looks for a variable.
    sslnegotiation: ssl === false ? 'postgres' : (address.ssl.negotiation ?? 'postgres'),
    ...(address.password === undefined ? {} : { password: address.password }),
    application_name: 'lifeboat',
    keepAlive: true,
    connectionTimeoutMillis: connectWaitMaxMs,
  });
  // Without a listener the loss of an idle connection would end the process; the next query reports it.
  let loss: Error | undefined;
  client.on('error', (error) => (loss ??= error));
  // Not by `client.end()`: what waits for a connection that is still being made would wait for ever.
  const end = (): void => void socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', end);
    await client.end().catch(() => undefined); // Whatever is wrong with it: it is gone.
  };
  try {
    await client.connect();
    await client.query(patientSettings);
    // Lets the server notice within seconds that we went away in the middle of a long query. Not on every platform.
    await client.query("SET client_connection_check_interval = '5s'").catch(() => undefined);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    database,
    async query<Row extends object>(text: string, values: readonly unknown[] = []) {
      try {
        // The driver answers several statements with several results, whatever its types say.
        const result = (await client.query(text, [...values])) as pg.QueryResult<Row> | pg.QueryResult<Row>[];
        return Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows;
      } catch (error) {
        signal.throwIfAborted();
        throw sourceError(loss ?? error, address, database);
      }
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Limits meant for the application's own sessions would end a backup's transaction, which waits while dumps run. */
const patientSettings = [
  'SET statement_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  'SET lock_timeout = 0',
  // These came with 14 and 17.
  `SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')`,
].join('; ');

/** Rejects if a query that always has a row had none. */
export function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new AppError('SOURCE_FAILED', 'a query returned no row', { hint: 'Try again.' });
  return row;
}
