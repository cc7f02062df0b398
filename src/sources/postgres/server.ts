// What a server as a whole says of itself: version, databases, roles.
import { AppError } from '../../base/errors.ts';
import { type Connection, connect, onlyRow } from './connection.ts';
import type { ServerAddress } from './server-address.ts';
import { sqlStateOf } from './server-errors.ts';

export interface ServerFacts {
  /** `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  /** The connected role. */
  readonly user: string;
  readonly isSuperuser: boolean;
  readonly mayCreateDatabases: boolean;
  readonly mayCreateRoles: boolean;
  readonly roles: readonly string[];
  /** Those whose rights the connected role has and to which it may give objects. */
  readonly rolesHeld: readonly string[];
  readonly tablespaces: readonly string[];
  readonly databases: readonly DatabaseEntry[];
}

export interface DatabaseEntry {
  readonly name: string;
  readonly isTemplate: boolean;
  readonly allowsConnections: boolean;
  readonly sizeBytes: number | null;
  /** Sessions in it, our own not counted. */
  readonly sessions: number;
  readonly owner: string;
  /** Whether the connected role has the rights of the owner, which renaming takes. */
  readonly isOwned: boolean;
  /** Whether a membership in the owner would give those rights, and no more than those of this application. */
  readonly isOwnerGrantable: boolean;
}

const oldestMajor = 10;

const serverQuery = `
  SELECT pg_catalog.current_setting('server_version') AS version,
         pg_catalog.current_setting('server_version_num')::int / 10000 AS major,
         pg_catalog.pg_is_in_recovery() AS "isStandby", r.rolname::text AS "user", r.rolsuper AS "isSuperuser",
         r.rolsuper OR r.rolcreatedb AS "mayCreateDatabases", r.rolsuper OR r.rolcreaterole AS "mayCreateRoles",
         ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY 1) AS roles,
         ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, 'USAGE') AND pg_catalog.pg_has_role(oid,
                 CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)) AS "rolesHeld",
         ARRAY(SELECT spcname::text FROM pg_catalog.pg_tablespace ORDER BY 1) AS tablespaces,
         (SELECT json_agg(json_build_object(
                   'name', d.datname, 'isTemplate', d.datistemplate, 'allowsConnections', d.datallowconn,
                   'sizeBytes', CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                                     THEN pg_catalog.pg_database_size(d.oid) END,
                   'owner', o.rolname, 'isOwned', pg_catalog.pg_has_role(o.oid, 'USAGE'),
                   'isOwnerGrantable', r.rolinherit AND NOT o.rolsuper AND o.rolname NOT LIKE 'pg\\_%',
                   'sessions', (SELECT count(*) FROM pg_catalog.pg_stat_activity a
                                 WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid())) ORDER BY d.datname)
            FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles o ON o.oid = d.datdba) AS databases
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`;

export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const facts = onlyRow(await connection.query<ServerFacts>(serverQuery));
  if (facts.major < oldestMajor) {
    throw new AppError('SOURCE_UNSUPPORTED', `the server is PostgreSQL ${facts.version}, older than ${oldestMajor}`, {
      hint: 'Upgrade the server to a major that is still maintained.',
    });
  }
  return facts;
}

/** A connection to a database that is surely there and none of those to be replaced. */
export async function connectForMaintenance(
  address: ServerAddress,
  avoid: readonly string[],
  signal: AbortSignal,
): Promise<Connection> {
  const candidates = ['postgres', 'template1'].filter((name) => !avoid.includes(name));
  let failure: unknown = new AppError('TARGET_UNSAFE', 'all databases one could work from are to be replaced', {
    hint: 'Restore postgres and template1 one at a time.',
  });
  for (const database of candidates) {
    try {
      return await connect(address, database, signal);
    } catch (error) {
      failure = error;
      if (!['3D000', '42501', '28000'].includes(sqlStateOf(error) ?? '')) throw error;
    }
  }
  throw failure;
}

/** The databases to back up. The first configured one serves as the way in, for roles that may enter no other. */
export async function readServer(
  address: ServerAddress,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly server: ServerFacts; readonly chosen: readonly string[] }> {
  const [first] = databases;
  await using connection =
    first === undefined ? await connectForMaintenance(address, [], signal) : await connect(address, first, signal);
  const server = await readServerFacts(connection);
  const usual = server.databases.filter((one) => !one.isTemplate && one.allowsConnections);
  const chosen = databases.length > 0 ? [...new Set(databases)] : usual.map(({ name }) => name);
  requireDatabases(
    chosen,
    server.databases.map(({ name }) => name),
    usual.map(({ name }) => name),
  );
  return { server, chosen };
}

/** Rejects with the names that the server has if some of those wanted are not among them. */
export function requireDatabases(
  wanted: readonly string[],
  existing: readonly string[],
  usual: readonly string[] = existing,
): void {
  const absent = wanted.filter((name) => !existing.includes(name));
  if (absent.length === 0) return;
  throw new AppError('SOURCE_UNREACHABLE', `the server has no database ${absent.join(', ')}`, {
    hint: `Correct the names; there are: ${usual.join(', ')}.`,
  });
}
