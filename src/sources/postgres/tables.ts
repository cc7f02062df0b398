// Which tables a dump of a database holds rows of: the same rule as pg_dump's, so that a fingerprint speaks of the same rows.
import pg from 'pg';
import type { Connection } from './connection.ts';

export interface Table {
  readonly schema: string;
  readonly name: string;
  /** Sorted by name: a restored child table may have them in another order. */
  readonly columns: readonly string[];
  /** `WHERE …` of a table that an extension marks as configuration: only these rows are dumped. */
  readonly condition: string;
  /** False for an unlogged table, which is empty after a crash and in a physical copy. */
  readonly isDurable: boolean;
}

/** SQL that is true for schemas that are not a user's. */
export const foreignSchema = `(n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') OR n.nspname LIKE 'pg\\_temp\\_%' OR n.nspname LIKE 'pg\\_toast\\_temp\\_%')`;

/**
 * Left out: what pg_dump leaves out (temporary and foreign tables, tables of extensions but their configuration; on a
 * standby unlogged ones), and materialized views, whose rows a restore computes anew from the tables.
 */
const tablesQuery = `
  SELECT n.nspname::text AS schema, c.relname::text AS name, c.relpersistence = 'p' AS "isDurable",
         coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '') AS condition,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
                ORDER BY a.attname::text COLLATE "C") AS columns
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_depend d
      ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::regclass
   WHERE c.relkind = 'r' AND NOT ${foreignSchema}
     AND (c.relpersistence = 'p' OR (c.relpersistence = 'u' AND NOT pg_catalog.pg_is_in_recovery()))
     AND (d.objid IS NULL OR c.oid = ANY (e.extconfig))
   ORDER BY n.nspname, c.relname`;

export function listTables(connection: Connection): Promise<Table[]> {
  return connection.query<Table>(tablesQuery);
}

export function qualifiedName({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}
