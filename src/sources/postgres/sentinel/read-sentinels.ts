// Finds the newest sentinel of a recovered copy, in whichever database it lies.
import { isAppError } from '../../../base/errors.ts';
import { connect, type Connection } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';

/** A copy of production may hold anything by that name: only a plain table with plain times in it is asked, not for `infinity`. */
const isThereQuery = `
  SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'written_at' AND NOT a.attisdropped
   WHERE n.nspname = 'lifeboat' AND c.relname = 'sentinel' AND c.relkind = 'r' AND c.relpersistence = 'p'
     AND a.atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype AND a.attgenerated = ''`;
const newestQuery = `
  SELECT (extract(epoch FROM pg_catalog.max(written_at)) * 1000)::pg_catalog.float8 AS "writtenMs" FROM ONLY lifeboat.sentinel
   WHERE written_at BETWEEN '2000-01-01' AND '9999-01-01'`;

/** By the server's clock, milliseconds since 1970; undefined if there is none. */
export async function newestSentinel(
  address: ServerAddress,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const found: number[] = [];
  for (const database of databases) {
    await using connection = await connect(address, database, signal);
    const writtenMs = await newestIn(connection);
    if (writtenMs !== undefined) found.push(writtenMs);
  }
  return found.length === 0 ? undefined : Math.max(...found);
}

async function newestIn(connection: Connection): Promise<number | undefined> {
  await connection.query('SET search_path = pg_catalog');
  if ((await connection.query(isThereQuery)).length === 0) return undefined;
  const [row] = await connection.query<{ readonly writtenMs: number | null }>(newestQuery);
  return row?.writtenMs ?? undefined;
}

const lookMaxMs = 15_000;

/**
 * Of all databases of a server that has just come up from a recovery. A look must not make the recovery fail: what keeps it
 * from seeing is as if there were none.
 */
export async function sentinelOfCopy(address: ServerAddress, signal: AbortSignal): Promise<number | undefined> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(lookMaxMs)]);
  try {
    return await newestSentinel(address, await databasesOf(address, within), within);
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error) && !within.aborted) throw error;
    return undefined;
  }
}

async function databasesOf(address: ServerAddress, signal: AbortSignal): Promise<string[]> {
  await using connection = await connect(address, 'template1', signal);
  const query = 'SELECT datname::text AS name FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate';
  return (await connection.query<{ readonly name: string }>(query)).map(({ name }) => name);
}
