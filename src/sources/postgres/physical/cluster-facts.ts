// What a backup notes of the server beside its files: databases, roles, settings that a copy needs, and files of configuration that lie
// outside the data directory, where no base backup looks.
import { posix } from 'node:path';
import { isAppError, messageOf } from '../../../base/errors.ts';
import { connect, type Connection } from '../connection.ts';
import { type DatabaseFacts, readDatabaseFacts } from '../database-facts.ts';
import type { ServerAddress } from '../server-address.ts';
import { connectForMaintenance, readServerFacts } from '../server.ts';
import type { EntryProblem } from '../../source.ts';

export interface ClusterFacts {
  /** The only role that is in every copy. */
  readonly superuser: string;
  readonly roles: readonly string[];
  /** Those that a server with a copy must have, or that say what else it needs. */
  readonly settings: Readonly<Record<string, string>>;
  readonly databases: readonly DatabaseFacts[];
  readonly tablespaceNames: ReadonlyMap<number, string>;
  readonly configuration: readonly ConfigurationFile[];
}

export interface ConfigurationFile {
  /** Where the server reads it. */
  readonly path: string;
  readonly text: string;
}

const settingNames = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
  'wal_level',
  'shared_preload_libraries',
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
  'server_encoding',
  'lc_messages',
];
const configurationBytesMax = 512 * 1024;

/** Undefined where SQL is not let in; `notes` tells what could not be read. */
export async function readClusterFacts(
  address: ServerAddress,
  notes: EntryProblem[],
  signal: AbortSignal,
): Promise<ClusterFacts | undefined> {
  try {
    await using connection = await connectForMaintenance(address, [], signal);
    const server = await readServerFacts(connection);
    const [role] = await connection.query<{ readonly name: string }>(
      'SELECT rolname::text AS name FROM pg_catalog.pg_roles WHERE oid = 10',
    );
    const rows = await connection.query<{ readonly name: string; readonly value: string | null }>(
      'SELECT name, pg_catalog.current_setting(name, true) AS value FROM pg_catalog.pg_settings WHERE name = ANY ($1) ORDER BY name',
      [settingNames],
    );
    const tablespaces = await connection.query<{ readonly oid: string; readonly name: string }>(
      'SELECT oid::text, spcname::text AS name FROM pg_catalog.pg_tablespace',
    );
    const databases: DatabaseFacts[] = [];
    for (const { name, isTemplate, allowsConnections } of server.databases) {
      if (isTemplate || !allowsConnections) continue;
      const facts = await databaseFacts({ address, name, major: server.major }, notes, signal);
      if (facts !== undefined) databases.push(facts);
    }
    return {
      superuser: role?.name ?? '',
      roles: server.roles,
      settings: Object.fromEntries(rows.flatMap(({ name, value }) => (value === null ? [] : [[name, value]]))),
      databases,
      tablespaceNames: new Map(tablespaces.map(({ oid, name }) => [Number(oid), name])),
      configuration: await readConfiguration(connection, notes),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    notes.push({ path: '/', message: `databases, roles and settings are not noted: ${messageOf(error)}` });
    return undefined;
  }
}

async function databaseFacts(
  { address, name, major }: { readonly address: ServerAddress; readonly name: string; readonly major: number },
  notes: EntryProblem[],
  signal: AbortSignal,
): Promise<DatabaseFacts | undefined> {
  try {
    await using connection = await connect(address, name, signal);
    return await readDatabaseFacts(connection, major);
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    notes.push({ path: '/', message: `nothing is noted of database ${name}: ${messageOf(error)}` });
    return undefined;
  }
}

/** Files that settings or rules came from, and those that the server was told to read; none for a role that may not see them. */
const filesQuery = `
  SELECT DISTINCT path FROM (
      SELECT sourcefile AS path FROM pg_catalog.pg_settings
      UNION ALL SELECT setting FROM pg_catalog.pg_settings WHERE name IN ('config_file', 'hba_file', 'ident_file')) AS f
   WHERE path IS NOT NULL ORDER BY path`;

async function readConfiguration(connection: Connection, notes: EntryProblem[]): Promise<ConfigurationFile[]> {
  const [directory] = await connection.query<{ readonly path: string | null }>(
    "SELECT pg_catalog.current_setting('data_directory', true) AS path FROM pg_catalog.pg_settings WHERE name = 'data_directory'",
  );
  const dataDirectory = directory?.path;
  if (typeof dataDirectory !== 'string') return [];
  const found: ConfigurationFile[] = [];
  for (const { path } of await connection.query<{ readonly path: string }>(filesQuery)) {
    if (!posix.relative(dataDirectory, path).startsWith('..')) continue;
    try {
      const [file] = await connection.query<{ readonly text: string }>(
        'SELECT pg_catalog.pg_read_file($1, 0, $2) AS text',
        [path, configurationBytesMax],
      );
      found.push({ path, text: file?.text ?? '' });
    } catch (error) {
      if (!isAppError(error)) throw error;
      notes.push({
        path: '/',
        message: `${path}, outside the data directory, is not in the backup: ${messageOf(error)}`,
      });
    }
  }
  return found;
}
