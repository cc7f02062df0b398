// What runs tell while they work, oldest first. Bounded: a run that tells without end is cut off.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { RunEventTable } from './tables.ts';

export type RunEventRow = Selectable<RunEventTable>;

export const eventsMax = 2000;
const textMax = 4000;

/** The number of the newest; 0 if there is none. */
export async function lastEventNumber({ db }: Catalog, runId: string): Promise<number> {
  const row = await db
    .selectFrom('runEvent')
    .select((select) => select.fn.max('number').as('number'))
    .where('runId', '=', runId)
    .executeTakeFirst();
  return row?.number ?? 0;
}

/** A number that is taken stays: two workers that tell of one run are no reason for either to fail. */
export async function insertEvent({ db, now }: Catalog, { text, ...event }: Omit<RunEventRow, 'atMs'>): Promise<void> {
  await db
    .insertInto('runEvent')
    .values({ ...event, text: text.length <= textMax ? text : `${text.slice(0, textMax)}…`, atMs: now() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Those behind number `after`. */
export async function eventsOf(
  { db }: Catalog,
  { runId, after, limit }: { readonly runId: string; readonly after: number; readonly limit: number },
): Promise<RunEventRow[]> {
  return db
    .selectFrom('runEvent')
    .selectAll()
    .where('runId', '=', runId)
    .where('number', '>', after)
    .orderBy('number')
    .limit(limit)
    .execute();
}
