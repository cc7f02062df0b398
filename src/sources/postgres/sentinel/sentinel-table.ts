// The table of sentinels: a ring of rows in a schema of its own, so that it stays small for ever. What it takes to write there is
// decided from what the server says of it. Pure.
import pg from 'pg';

const ringRows = 60;

const createSchema = 'CREATE SCHEMA IF NOT EXISTS lifeboat';
const createTable =
  'CREATE TABLE IF NOT EXISTS lifeboat.sentinel (slot int PRIMARY KEY, written_at timestamptz NOT NULL)';

/** Of a session of the role that is to write. */
export const stateQuery = `
  SELECT pg_catalog.pg_is_in_recovery() AS "isStandby",
         pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "mayCreateSchema",
         n.oid IS NOT NULL AS "hasSchema", c.oid IS NOT NULL AS "hasTable",
         coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) AS "mayUse",
         coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false) AS "mayCreateTable",
         coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                    AND pg_catalog.has_table_privilege(c.oid, 'UPDATE'), false) AS "mayWrite"
    FROM (SELECT) AS one
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'lifeboat'
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'sentinel' AND c.relkind = 'r'`;

export interface SentinelState {
  readonly isStandby: boolean;
  readonly mayCreateSchema: boolean;
  readonly hasSchema: boolean;
  readonly hasTable: boolean;
  readonly mayUse: boolean;
  readonly mayCreateTable: boolean;
  readonly mayWrite: boolean;
}

export type SentinelWay =
  | { readonly kind: 'ready' }
  | { readonly kind: 'create'; readonly statements: readonly string[] }
  | { readonly kind: 'lacking'; readonly message: string; readonly hint: string };

export function wayToWrite(
  state: SentinelState,
  { user, database }: { readonly user: string; readonly database: string },
): SentinelWay {
  if (state.isStandby) {
    const hint = 'Name the primary in lifeboat.yaml, or leave `sentinel` out.';
    return { kind: 'lacking', message: 'the server is a standby, where no sentinel can be written', hint };
  }
  const role = pg.escapeIdentifier(user);
  const grants = [
    `GRANT USAGE ON SCHEMA lifeboat TO ${role}`,
    `GRANT SELECT, INSERT, UPDATE ON lifeboat.sentinel TO ${role}`,
  ];
  const lacking = (message: string, statements: readonly string[]): SentinelWay => ({
    kind: 'lacking',
    message,
    hint: `Run as a superuser in database ${database}: ${statements.join('; ')};`,
  });
  if (state.hasTable) {
    if (state.mayUse && state.mayWrite) return { kind: 'ready' };
    return lacking(`${user} may not write into lifeboat.sentinel of database ${database}`, grants);
  }
  const mayCreate = state.hasSchema ? state.mayCreateTable && state.mayUse : state.mayCreateSchema;
  if (mayCreate) return { kind: 'create', statements: state.hasSchema ? [createTable] : [createSchema, createTable] };
  const message = `there is no table lifeboat.sentinel in database ${database}, and ${user} may not create it`;
  return lacking(message, [createSchema, createTable, ...grants]);
}

/** One row by the server's clock. Its slot is that of the time, so that the oldest of the ring is written over. */
export function writeStatement(intervalMs: number): string {
  const slot = `(pg_catalog.floor(extract(epoch FROM t.now) * 1000 / ${intervalMs}))::bigint % ${ringRows}`;
  return `INSERT INTO lifeboat.sentinel (slot, written_at)
    SELECT ${slot}, t.now FROM (SELECT pg_catalog.clock_timestamp() AS now) AS t
    ON CONFLICT (slot) DO UPDATE SET written_at = excluded.written_at`;
}
