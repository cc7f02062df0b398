// Fills a catalog with the rows of a backup, all of them or none, and makes of it one that nobody works on: what was being done when the
// backup was taken is over.
import { sql, type Kysely } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import type { CatalogRow } from './export-catalog.ts';
import { openStates } from './tables.ts';

/** Below the parameters that a statement may have, for tables of any width. */
const insertMax = 200;

type AnyTable = Kysely<Record<string, Record<string, unknown>>>;

/**
 * In place of what is there. `tables` are those of the backup, in its order: this program may know others by now, and changes them only
 * afterwards.
 */
export async function importRows(
  { kind }: Pick<Catalog, 'kind'>,
  trx: Queries,
  {
    tables,
    rowsOf,
  }: { readonly tables: readonly string[]; readonly rowsOf: (table: string) => AsyncIterable<CatalogRow> },
): Promise<void> {
  const db = trx as unknown as AnyTable;
  for (const name of tables.toReversed()) await db.deleteFrom(name).execute();
  for (const name of tables) {
    const truthColumns = kind === 'postgres' ? await booleanColumns(trx, name) : [];
    let rows: CatalogRow[] = [];
    for await (const row of rowsOf(name)) {
      rows.push(withBooleans(row, truthColumns));
      if (rows.length < insertMax) continue;
      await db.insertInto(name).values(rows).execute();
      rows = [];
    }
    if (rows.length > 0) await db.insertInto(name).values(rows).execute();
  }
}

/** SQLite has 0 and 1 in their place. */
async function booleanColumns(trx: Queries, name: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select attname as name from pg_attribute
     where attrelid = to_regclass(${`lifeboat.${snakeCase(name)}`}) and atttypid = 'boolean'::regtype and attnum > 0
  `.execute(trx);
  return rows.map((row) => camelCase(row.name));
}

const snakeCase = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camelCase = (text: string): string => text.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function withBooleans(row: CatalogRow, columns: readonly string[]): CatalogRow {
  if (columns.length === 0) return row;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      columns.includes(name) && value !== null ? Boolean(value) : value,
    ]),
  );
}

export interface Settlement {
  /** What is said of runs that were not at their end. */
  readonly error: object;
  readonly generation: number;
}

/** Ends what was open, makes every epoch older than the next one, and lets schedules begin now. Returns the runs that were ended. */
export async function settleImported(
  { now }: Pick<Catalog, 'now'>,
  trx: Queries,
  { error, generation }: Settlement,
): Promise<{ readonly id: string }[]> {
  const ended = await trx
    .updateTable('run')
    .set((set) => ({
      state: sql<'failed'>`case when state = 'running' and kind <> 'self-backup' then 'failed' else 'cancelled' end`,
      epoch: set('epoch', '+', 1),
      worker: null,
      leaseUntilMs: null,
      wakeAtMs: null,
      waitsFor: null,
      error: JSON.stringify(error),
      endedAtMs: now(),
    }))
    .where('state', 'in', openStates)
    .returning('id')
    .execute();
  await trx
    .updateTable('lease')
    .set((set) => ({ epoch: set('epoch', '+', 1), holder: null, untilMs: 0, told: null, toldAtMs: null }))
    .execute();
  await trx.updateTable('schedule').set({ firedUpToMs: now() }).where('firedUpToMs', '<', now()).execute();
  await trx.updateTable('service').set({ generation, signedAtMs: null }).execute();
  return ended;
}
