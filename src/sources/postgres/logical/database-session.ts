// One database during one backup: a transaction that holds the snapshot which the dump and the fingerprint share.
import type { FingerprintItem } from '../../../model/fingerprint.ts';
import { AppError, messageOf } from '../../../base/errors.ts';
import { type Connection, connect, onlyRow } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';
import { type DatabaseFacts, readDatabaseFacts } from '../database-facts.ts';
import type { DumpToc } from './dump-toc.ts';
import { pinnedSettings } from '../fingerprint.ts';
import { schemaItems } from './schema-items.ts';
import { readSchemaVersions, type SchemaVersion } from '../schema-version.ts';
import { sqlStateOf } from '../server-errors.ts';
import { listTables, qualifiedName } from '../tables.ts';

export interface DatabaseSession extends AsyncDisposable {
  readonly name: string;
  readonly connection: Connection;
  /** For `pg_dump --snapshot`. */
  readonly snapshot: string;
  readonly facts: DatabaseFacts;
  readonly schemaVersions: readonly SchemaVersion[];
  /** Structure as the snapshot has it. */
  readonly schema: readonly FingerprintItem[];
  /** Absent on success. */
  readonly schemaVersionProblem: string | undefined;
  /** Set by whoever streams the dump. */
  toc?: DumpToc | undefined;
}

export interface SessionOptions {
  readonly database: string;
  readonly serverMajor: number;
  readonly lockWaitMaxMs: number;
  readonly schemaVersionQuery: string | undefined;
}

export async function openDatabaseSession(
  address: ServerAddress,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<DatabaseSession> {
  const connection = await connect(address, options.database, signal);
  try {
    const snapshot = await takeSnapshot(connection, options.lockWaitMaxMs);
    const facts = await readDatabaseFacts(connection, options.serverMajor);
    const versions = await schemaVersionsOrProblem(connection, options.schemaVersionQuery);
    await connection.query(pinnedSettings);
    return {
      name: options.database,
      connection,
      snapshot,
      facts,
      ...versions,
      schema: await schemaItems(connection, options.database),
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

const attemptsMax = 5;
const tablesPerStatement = 500;

/**
 * Locks first, snapshot second: a table that is truncated or rewritten after the snapshot looks empty to it, and the
 * backup would quietly lack its rows. The lock is the one that every SELECT takes; it only holds up schema changes.
 */
async function takeSnapshot(connection: Connection, lockWaitMaxMs: number): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const tables = await listTables(connection);
    await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await connection.query(`SET LOCAL lock_timeout = ${Math.ceil(lockWaitMaxMs)}`);
    try {
      for (let at = 0; at < tables.length; at += tablesPerStatement) {
        const names = tables.slice(at, at + tablesPerStatement).map((table) => `ONLY ${qualifiedName(table)}`);
        await connection.query(`LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE`);
      }
      const rows = await connection.query<{ readonly id: string }>('SELECT pg_catalog.pg_export_snapshot() AS id');
      return onlyRow(rows).id;
    } catch (error) {
      await connection.query('ROLLBACK');
      const isGone = ['42P01', '3F000'].includes(sqlStateOf(error) ?? ''); // Dropped since it was listed.
      if (!isGone || attempt === attemptsMax) throw error;
    }
  }
}

/** The user's own query may be wrong: that must not cost the backup. */
async function schemaVersionsOrProblem(
  connection: Connection,
  query: string | undefined,
): Promise<Pick<DatabaseSession, 'schemaVersions' | 'schemaVersionProblem'>> {
  await connection.query('SAVEPOINT schema_version');
  try {
    return { schemaVersions: await readSchemaVersions(connection, query), schemaVersionProblem: undefined };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    await connection.query('ROLLBACK TO SAVEPOINT schema_version');
    return { schemaVersions: [], schemaVersionProblem: `schema version unknown: ${messageOf(error)}` };
  }
}
