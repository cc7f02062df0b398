// Connections to the PostgreSQL server that holds the state. Whole numbers come as numbers: our largest are milliseconds since 1970.
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import { AppError, messageOf } from '../base/errors.ts';

const connectionsMax = 10;
const connectWaitMaxMs = 10_000;
/** Nothing here reads or writes much: what takes longer hangs. */
const statementMaxMs = 30_000;

/** Its `connect` rejects with `CATALOG_UNREACHABLE`: whoever reads that something was refused must know what. */
export function postgresPool(url: string): PostgresPool {
  const pool = new pg.Pool({
    connectionString: checkedUrl(url),
    max: connectionsMax,
    connectionTimeoutMillis: connectWaitMaxMs,
    statement_timeout: statementMaxMs,
    idle_in_transaction_session_timeout: statementMaxMs,
    keepAlive: true,
    application_name: 'lifeboat',
    types: { getTypeParser: parserOf },
  });
  // The loss of an idle connection is no news: the next query opens another.
  pool.on('error', () => undefined);
  // Nor is that of one in use: its query fails, or the next one. Without a listener it would end the process.
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return {
    async connect() {
      try {
        return await pool.connect();
      } catch (error) {
        throw unreachable(error);
      }
    },
    end: () => pool.end(),
    options: pool.options,
  };
}

function unreachable(cause: unknown): AppError {
  return new AppError(
    'CATALOG_UNREACHABLE',
    `the catalog at LIFEBOAT_DATABASE_URL can't be reached: ${messageOf(cause)}`,
    {
      hint: 'See that its server runs and lets this machine in.',
      cause,
    },
  );
}

const int8 = pg.types.builtins.INT8;

function parserOf(...[type, format]: Parameters<typeof pg.types.getTypeParser>): (text: string) => unknown {
  return type === int8 ? Number : (pg.types.getTypeParser(type, format) as (text: string) => unknown);
}

/** The address holds a password, so no error may repeat it. */
function checkedUrl(url: string): string {
  if (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new AppError('CONFIG_INVALID', 'LIFEBOAT_DATABASE_URL is no address of a PostgreSQL database', {
    hint: 'Write postgres://user:password@host:5432/database, with special characters percent-encoded.',
  });
}
