// Looks whether a physical backup will be able to take a fingerprint: without one, proofs start the copy, but can't compare its rows.
import { count } from '../../../base/count.ts';
import { isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { type Connection, connect, onlyRow } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { readServer, type ServerFacts } from '../server.ts';
import { foreignSchema } from '../tables.ts';
import pg from 'pg';

const aspect = 'fingerprint';

export async function checkFingerprint(options: PostgresOptions, signal: AbortSignal): Promise<Finding> {
  if (!options.physical.takesFingerprint) {
    return { aspect, outcome: 'passed', message: 'none is taken, as configured: proofs do not compare rows' };
  }
  try {
    const address = await addressOf(options);
    const { server, chosen } = await readServer(address, [], signal);
    for (const database of chosen) {
      await using connection = await connect(address, database, signal);
      const lack = await lackIn(connection, server);
      if (lack !== undefined) return lack;
    }
    return { aspect, outcome: 'passed', message: `all rows of ${chosen.join(', ')} can be counted and hashed` };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return { aspect, outcome: 'warning', message: `no rows can be read: ${error.message}`, hint: error.hint };
  }
}

interface Lacks {
  readonly unreadable: number;
  readonly unlockable: number;
  readonly first: string | null;
  /** Quoted; of those that can't be locked. */
  readonly schemas: readonly string[] | null;
  readonly mayPause: boolean;
  readonly isPaused: boolean;
}

async function lackIn(connection: Connection, server: ServerFacts): Promise<Finding | undefined> {
  const { database } = connection;
  const lacks = onlyRow(await connection.query<Lacks>(lacksQuery(server.major)));
  const { unreadable, unlockable, first, schemas, mayPause, isPaused } = lacks;
  const role = pg.escapeIdentifier(server.user);
  const example = first === null ? '' : `, such as ${first}`;
  if (unreadable > 0) {
    const message = `${server.user} may not read ${count(unreadable, 'table')} of ${database}${example}`;
    return { aspect, outcome: 'warning', message, hint: `Run as a superuser: GRANT pg_read_all_data TO ${role};` };
  }
  if (server.isStandby && !mayPause) {
    const functions = 'pg_wal_replay_pause(), pg_wal_replay_resume()';
    const message = `${server.user} may not pause the replay of the standby`;
    const hint = `Run as a superuser in postgres and template1: GRANT EXECUTE ON FUNCTION ${functions} TO ${role};`;
    return { aspect, outcome: 'warning', message, hint };
  }
  if (isPaused) {
    const message = 'the replay of the standby is paused: a backup would hold no more than it had then';
    const hint = 'Run as a superuser, unless somebody wants it so: SELECT pg_wal_replay_resume();';
    return { aspect, outcome: 'warning', message, hint };
  }
  if (server.isStandby || unlockable === 0) return undefined;
  const message = `${server.user} may not hold off writers of ${count(unlockable, 'table')} of ${database}${example}`;
  const hint =
    server.major >= 17
      ? `Run as a superuser: GRANT pg_maintain TO ${role};`
      : `Run as a superuser in ${database}: GRANT UPDATE ON ALL TABLES IN SCHEMA ${(schemas ?? []).join(', ')} TO ${role}; or back up as their owner, or do without: physical: {fingerprint: false}.`;
  return { aspect, outcome: 'warning', message, hint };
}

/** LOCK TABLE … IN SHARE MODE takes one of these rights. */
function lacksQuery(major: number): string {
  const lock = `pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE${major >= 17 ? ', MAINTAIN' : ''}')`;
  const read = `pg_catalog.has_table_privilege(c.oid, 'SELECT')`;
  return `
    SELECT count(*) FILTER (WHERE NOT ${read})::int AS unreadable, count(*) FILTER (WHERE NOT ${lock})::int AS unlockable,
           min(format('%I.%I', n.nspname, c.relname)) FILTER (WHERE NOT (${read} AND ${lock})) AS first,
           array_agg(DISTINCT format('%I', n.nspname)) FILTER (WHERE NOT ${lock}) AS schemas,
           pg_catalog.has_function_privilege('pg_catalog.pg_wal_replay_pause()', 'EXECUTE')
             AND pg_catalog.has_function_privilege('pg_catalog.pg_wal_replay_resume()', 'EXECUTE') AS "mayPause",
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END AS "isPaused"
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND NOT ${foreignSchema}`;
}
