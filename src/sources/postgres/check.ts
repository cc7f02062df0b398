// Looks at everything a logical backup needs, before the night it is needed in, and says which GRANT is missing.
import pg from 'pg';
import { isAppError, messageOf } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import { type Connection, connect, onlyRow } from './connection.ts';
import { describeServer, type ServerAddress } from './server-address.ts';
import { addressOf, type PostgresOptions } from './options.ts';
import { restoreRightsFinding } from './logical/ownership.ts';
import { dumpProgram } from './logical/programs.ts';
import { readServer, type ServerFacts } from './server.ts';
import { foreignSchema } from './tables.ts';

/** The oldest major that PostgreSQL's developers still mend. */
const maintainedMajor = 15;
const namedMax = 5;

export async function* checkPostgres(options: PostgresOptions, signal: AbortSignal): AsyncGenerator<Finding> {
  let address: ServerAddress;
  let found: Awaited<ReturnType<typeof readServer>>;
  try {
    address = await addressOf(options);
    found = await readServer(address, options.databases, signal);
  } catch (error) {
    yield failedFinding('connection', error, signal);
    return;
  }
  const { server, chosen } = found;
  const message = `${describeServer(address)} answers to ${address.user}; databases: ${chosen.join(', ') || 'none'}`;
  yield chosen.length === 0
    ? {
        aspect: 'connection',
        outcome: 'warning',
        message,
        hint: 'Create a database, or name one in the configuration.',
      }
    : { aspect: 'connection', outcome: 'passed', message };
  yield versionFinding(server);
  yield await programFinding(server, options, signal);
  yield restoreRightsFinding(server, chosen);
  for (const database of chosen) {
    try {
      await using connection = await connect(address, database, signal);
      yield await readRights(connection, { address, server });
      yield await rowSecurity(connection, address);
      yield await largeObjects(connection, address);
      if (database === chosen[0]) yield await rolePasswords(connection, address);
    } catch (error) {
      yield failedFinding(`database ${database}`, error, signal);
    }
  }
}

function failedFinding(aspect: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!isAppError(error)) throw error;
  return { aspect, outcome: 'failed', message: messageOf(error), hint: error.hint };
}

function versionFinding({ version, major, isStandby }: ServerFacts): Finding {
  const aspect = 'server version';
  const message = `PostgreSQL ${version}${isStandby ? ', a standby' : ''}`;
  if (major >= maintainedMajor) return { aspect, outcome: 'passed', message };
  const hint = `Plan the upgrade: PostgreSQL ${major} gets no more fixes.`;
  return { aspect, outcome: 'warning', message: `${message}, which is no longer maintained`, hint };
}

async function programFinding(server: ServerFacts, options: PostgresOptions, signal: AbortSignal): Promise<Finding> {
  try {
    const { version, folder } = await dumpProgram(server.major, options.programFolders, signal);
    return { aspect: 'pg_dump', outcome: 'passed', message: `version ${version} in ${folder}` };
  } catch (error) {
    return failedFinding('pg_dump', error, signal);
  }
}

interface Unreadable {
  readonly count: number;
  readonly names: readonly string[];
}

/** Names of relations for which `condition` holds, the first few of them. */
async function relations(connection: Connection, condition: string): Promise<Unreadable> {
  const rows = await connection.query<Unreadable>(`
    SELECT count(*)::int AS count, (array_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1))[1:${namedMax}] AS names
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT ${foreignSchema} AND c.relpersistence <> 't' AND ${condition}
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.objid = c.oid AND d.deptype = 'e')`);
  return onlyRow(rows);
}

function named({ count, names }: Unreadable): string {
  return count > names.length ? `${names.join(', ')} and ${count - names.length} more` : names.join(', ');
}

async function readRights(
  connection: Connection,
  { address, server }: { readonly address: ServerAddress; readonly server: ServerFacts },
): Promise<Finding> {
  const aspect = `rights in ${connection.database}`;
  const unreadable = await relations(
    connection,
    `((c.relkind IN ('r', 'p') AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT'))
       OR (c.relkind = 'S' AND NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT'))
       OR (c.relkind IN ('r', 'p', 'S') AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')))`,
  );
  if (unreadable.count === 0) return { aspect, outcome: 'passed', message: 'all tables and sequences can be read' };
  const role = pg.escapeIdentifier(address.user);
  const hint =
    server.major >= 14
      ? `Run as a superuser: GRANT pg_read_all_data TO ${role};`
      : `Run in ${connection.database} for each schema: GRANT USAGE ON SCHEMA public TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO ${role};`;
  return { aspect, outcome: 'failed', message: `${address.user} may not read ${named(unreadable)}`, hint };
}

/** pg_dump refuses tables of which it would see a part only. */
async function rowSecurity(connection: Connection, { user }: ServerAddress): Promise<Finding> {
  const aspect = `row security in ${connection.database}`;
  const hidden = await relations(connection, `c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)`);
  if (hidden.count === 0) return { aspect, outcome: 'passed', message: 'no policy hides rows from the backup' };
  const message = `policies hide rows of ${named(hidden)} from ${user}`;
  return {
    aspect,
    outcome: 'failed',
    message,
    hint: `Run as a superuser: ALTER ROLE ${pg.escapeIdentifier(user)} BYPASSRLS;`,
  };
}

async function largeObjects(connection: Connection, { user }: ServerAddress): Promise<Finding> {
  const aspect = `large objects in ${connection.database}`;
  const { count, denied } = onlyRow(
    await connection.query<{ readonly count: number; readonly denied: number }>(`
    SELECT count(*)::int AS count, count(*) FILTER (WHERE NOT (
             (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
             OR pg_catalog.pg_has_role(m.lomowner, 'USAGE')
             OR EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
                           AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))))::int AS denied
      FROM pg_catalog.pg_largeobject_metadata m`),
  );
  if (denied === 0) return { aspect, outcome: 'passed', message: count === 0 ? 'none' : `all ${count} can be read` };
  const hint = `Run as their owner: GRANT SELECT ON LARGE OBJECT … TO ${pg.escapeIdentifier(user)}; or back up as a superuser.`;
  return { aspect, outcome: 'failed', message: `${user} may not read ${denied} of ${count}`, hint };
}

async function rolePasswords(connection: Connection, { user }: ServerAddress): Promise<Finding> {
  const { may } = onlyRow(
    await connection.query<{ readonly may: boolean }>(
      `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may`,
    ),
  );
  if (may) return { aspect: 'roles', outcome: 'passed', message: 'roles can be read with their passwords' };
  const message = `${user} may not read pg_authid: roles are backed up without their passwords`;
  const hint = `Back up as a superuser, or run as one: GRANT SELECT ON pg_catalog.pg_authid TO ${pg.escapeIdentifier(user)};`;
  return { aspect: 'roles', outcome: 'warning', message, hint };
}
