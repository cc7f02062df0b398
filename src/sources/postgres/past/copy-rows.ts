// Copies the rows of tables where no pg_dump is at hand: into empty tables made like those of the same name that are there. Values cross as
// text, which is how a dump carries them, too.
import pg from 'pg';
import { AppError, isAppError } from '../../../base/errors.ts';
import { type Connection, connect } from '../connection.ts';
import { pinnedSettings } from '../fingerprint.ts';
import type { ServerAddress } from '../server-address.ts';
import { qualifiedName } from '../tables.ts';
import type { PastTable } from './past-tables.ts';

const quote = pg.escapeIdentifier;

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isGenerated: boolean;
}

const columnsQuery = `
  SELECT attname::text AS name, pg_catalog.format_type(atttypid, atttypmod) AS type, attgenerated <> '' AS "isGenerated"
    FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attname::text COLLATE "C"`;

function columnsOf(connection: Connection, table: Pick<PastTable, 'schema' | 'name'>): Promise<Column[]> {
  return connection.query<Column>(columnsQuery, [qualifiedName(table)]);
}

/** Rejects with `TOOL_MISSING`, as `missing` does, where a table has no like: then only pg_dump knows how to make it. */
export async function requireAlike(
  { past, live }: { readonly past: Connection; readonly live: Connection },
  tables: readonly PastTable[],
  missing: AppError,
): Promise<void> {
  for (const one of [past, live]) await one.query("SET search_path = ''"); // Types are then named in full.
  for (const table of tables) {
    const [own, other] = [await columnsOf(past, table), await columnsOf(live, table)];
    if (table.hasRows && JSON.stringify(own) === JSON.stringify(other)) continue;
    const why =
      other.length === 0 ? 'is not there any more' : table.hasRows ? 'has other columns now' : 'is partitioned';
    throw new AppError('TOOL_MISSING', `${missing.message}; and ${table.schema}.${table.name} ${why}`, {
      hint: `${missing.hint} Without it only rows come back, of tables that are there with the same columns.`,
      cause: missing,
    });
  }
}

export interface RowsCopy {
  readonly from: { readonly address: ServerAddress; readonly database: string };
  readonly to: { readonly address: ServerAddress; readonly database: string };
  /** Is made. */
  readonly schema: string;
  readonly tables: readonly PastTable[];
  readonly onBytes: (count: number) => void;
}

/** All or nothing. */
export async function copyRows(copy: RowsCopy, signal: AbortSignal): Promise<void> {
  const { from, to, schema, tables } = copy;
  await using past = await connect(from.address, from.database, signal);
  await using live = await connect(to.address, to.database, signal);
  for (const one of [past, live]) await one.query(`${pinnedSettings}; BEGIN`);
  try {
    await live.query(`CREATE SCHEMA ${quote(schema)}`);
    for (const table of tables) await copyTable(copy, { past, live }, table);
    await live.query('COMMIT');
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    throw new AppError('RESTORE_FAILED', `the copy of rows failed: ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}

const batchRows = 500;

async function copyTable(
  { schema, onBytes }: RowsCopy,
  { past, live }: { readonly past: Connection; readonly live: Connection },
  table: PastTable,
): Promise<void> {
  // There it was moved into a schema of this name, too.
  const moved = { schema, name: table.name };
  const target = qualifiedName(moved);
  await live.query(`CREATE TABLE ${target} (LIKE ${qualifiedName(table)} INCLUDING ALL)`);
  const columns = (await columnsOf(past, moved)).filter(({ isGenerated }) => !isGenerated);
  const names = columns.map(({ name }) => quote(name)).join(', ');
  const values = columns.map(({ name }) => `t.${quote(name)}::text`).join(', ');
  const casts = columns.map(({ type }, at) => `(r->>${at})::${type}`).join(', ');
  await past.query(
    `DECLARE lifeboat_copy NO SCROLL CURSOR FOR
       SELECT pg_catalog.jsonb_build_array(${values})::text AS row FROM ONLY ${target} AS t`,
  );
  for (;;) {
    const rows = await past.query<{ readonly row: string }>(`FETCH ${batchRows} FROM lifeboat_copy`);
    const text = `[${rows.map(({ row }) => row).join(',')}]`;
    onBytes(Buffer.byteLength(text));
    const query = `INSERT INTO ${target} (${names}) OVERRIDING SYSTEM VALUE
                     SELECT ${casts} FROM pg_catalog.jsonb_array_elements($1::jsonb) AS e(r)`;
    if (columns.length > 0) await live.query(query, [text]);
    else for (const _ of rows) await live.query(`INSERT INTO ${target} DEFAULT VALUES`);
    if (rows.length < batchRows) break;
  }
  await past.query('CLOSE lifeboat_copy');
}
