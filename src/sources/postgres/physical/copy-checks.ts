// Looks deeper into a running copy than its rows: do indexes fit their tables, is every page of a table sound, do the maps of
// visible rows tell the truth? PostgreSQL's own extensions answer; where a machine lacks them, that is said.
import { AppError } from '../../../base/errors.ts';
import { count } from '../../../base/count.ts';
import { type Connection, connect, onlyRow } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';

export interface CopyChecks {
  readonly indexes: number;
  readonly tables: number;
  /** Indexes whose order depends on a locale that this machine may sort otherwise. */
  readonly indexesLeftOut: number;
  /** Extensions that could not be used. */
  readonly missing: readonly string[];
}

/** For the description of a sandbox: `, 120 indexes and 40 tables sound`. */
export function describeChecks({ indexes, tables, indexesLeftOut, missing }: CopyChecks): string {
  const lacks = missing.length === 0 ? '' : `, not looked at with ${missing.join(' and ')}, which this machine lacks`;
  const leftOut = indexesLeftOut === 0 ? '' : ` (${indexesLeftOut} sorted by locale left out)`;
  if (indexes + tables === 0) return lacks;
  return `, ${count(indexes, 'index', 'indexes')}${leftOut} and ${count(tables, 'table')} sound${lacks}`;
}

/** Rejects with `VERIFICATION_FAILED` at the first thing that is not sound. */
export async function checkCopy(
  address: ServerAddress,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<CopyChecks> {
  const total = { indexes: 0, tables: 0, indexesLeftOut: 0 };
  const missing = new Set<string>();
  for (const database of databases) {
    await using connection = await connect(address, database, signal);
    // Undone at the end: the copy must be what it was when its structure is compared.
    await connection.query('BEGIN');
    await silenceEventTriggers(connection);
    const amcheck = await extensionSchema(connection, 'amcheck');
    const visibility = await extensionSchema(connection, 'pg_visibility');
    if (amcheck === undefined) missing.add('amcheck');
    else {
      const found = await checkIndexes(connection, amcheck);
      total.indexes += found.indexes;
      total.indexesLeftOut += found.leftOut;
      total.tables += await checkTables(connection, amcheck);
    }
    if (visibility === undefined) missing.add('pg_visibility');
    else await checkVisibility(connection, visibility);
    await connection.query('ROLLBACK');
  }
  return { ...total, missing: [...missing] };
}

/** They would run what the original runs when an extension is created. Their own statement does not set them off. */
async function silenceEventTriggers(connection: Connection): Promise<void> {
  const query = 'SELECT quote_ident(evtname) AS name FROM pg_catalog.pg_event_trigger';
  for (const { name } of await connection.query<{ readonly name: string }>(query)) {
    await connection.query(`ALTER EVENT TRIGGER ${name} DISABLE`);
  }
}

/** Where the functions of an extension are; undefined where the machine lacks it. */
async function extensionSchema(connection: Connection, name: string): Promise<string | undefined> {
  const query = 'SELECT FROM pg_catalog.pg_available_extensions WHERE name = $1';
  if ((await connection.query(query, [name])).length === 0) return undefined;
  await connection.query(`CREATE SCHEMA IF NOT EXISTS lifeboat_checks;
    CREATE EXTENSION IF NOT EXISTS ${name} SCHEMA lifeboat_checks; ALTER EXTENSION ${name} UPDATE`);
  const { schema } = onlyRow(
    await connection.query<{ readonly schema: string }>(
      'SELECT quote_ident(n.nspname) AS schema FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = $1',
      [name],
    ),
  );
  return schema;
}

/** An order by locale is that of the machine which built the index; another library of locales sorts otherwise. */
const indexesQuery = `
  SELECT i.indexrelid::text AS oid, i.indexrelid::regclass::text AS name,
         NOT EXISTS (SELECT FROM unnest(i.indcollation) AS u(oid) JOIN pg_catalog.pg_collation l ON l.oid = u.oid
                      WHERE NOT (l.collcollate IN ('C', 'POSIX') OR (l.oid = 100 AND d.datcollate IN ('C', 'POSIX')
                                 AND NOT (to_jsonb(d) ? 'datlocprovider' AND to_jsonb(d)->>'datlocprovider' = 'i')))
                        AND l.collname <> 'ucs_basic') AS "isComparable"
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' AND c.relpersistence = 'p'
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
   WHERE i.indisvalid AND i.indisready
   ORDER BY 2`;

interface FoundIndex {
  readonly oid: string;
  readonly name: string;
  readonly isComparable: boolean;
}

async function checkIndexes(connection: Connection, schema: string): Promise<{ indexes: number; leftOut: number }> {
  const found = await connection.query<FoundIndex>(indexesQuery);
  const comparable = found.filter(({ isComparable }) => isComparable);
  for (const { oid, name } of comparable) {
    try {
      await connection.query(`SELECT ${schema}.bt_index_check(${oid}::regclass, true)`);
    } catch (error) {
      throw unsound(connection, `index ${name}`, error);
    }
  }
  return { indexes: comparable.length, leftOut: found.length - comparable.length };
}

const tablesQuery = `
  SELECT c.oid::text AS oid, c.oid::regclass::text AS name FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'heap'
   WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' ORDER BY 2`;

interface FoundTable {
  readonly oid: string;
  readonly name: string;
}

async function checkTables(connection: Connection, schema: string): Promise<number> {
  const tables = await connection.query<FoundTable>(tablesQuery);
  for (const { oid, name } of tables) {
    const [damage] = await connection.query<{ readonly what: string }>(
      `SELECT format('block %s: %s', blkno, msg) AS what FROM ${schema}.verify_heapam(${oid}::regclass, on_error_stop => true, check_toast => false) LIMIT 1`,
    );
    if (damage !== undefined) throw unsound(connection, `table ${name}`, damage.what);
  }
  return tables.length;
}

/** A map that calls a deleted row visible makes it come back in some queries and not in others. */
async function checkVisibility(connection: Connection, schema: string): Promise<void> {
  for (const { oid, name } of await connection.query<FoundTable>(tablesQuery)) {
    const { wrong } = onlyRow(
      await connection.query<{ readonly wrong: number }>(
        `SELECT ((SELECT count(*) FROM ${schema}.pg_check_visible(${oid}::regclass)) +
                 (SELECT count(*) FROM ${schema}.pg_check_frozen(${oid}::regclass)))::int AS wrong`,
      ),
    );
    if (wrong > 0)
      throw unsound(connection, `table ${name}`, `its visibility map is wrong about ${count(wrong, 'row')}`);
  }
}

function unsound({ database }: Connection, what: string, why: unknown): AppError {
  const fact = why instanceof Error ? why.message : String(why);
  return new AppError('VERIFICATION_FAILED', `${what} of database ${database} is damaged: ${fact}`, {
    hint: 'Look whether the original is damaged, too; take a full backup once it is sound.',
    ...(why instanceof Error ? { cause: why } : {}),
  });
}
