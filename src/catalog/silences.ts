// The table of silences: what people do not want to hear of for a while.
import { randomUUIDv7 } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { SilenceTable } from './alert-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type SilenceRow = Selectable<SilenceTable>;

export async function insertSilence(
  { now }: Catalog,
  silence: Omit<SilenceRow, 'id' | 'createdAtMs'>,
  db: Queries,
): Promise<SilenceRow> {
  return db
    .insertInto('silence')
    .values({ ...silence, id: randomUUIDv7(), createdAtMs: now() })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Undefined if it is over. */
export async function findSilence(catalog: Catalog, id: string): Promise<SilenceRow | undefined> {
  const nowMs = await catalog.nowMs();
  return catalog.db
    .selectFrom('silence')
    .selectAll()
    .where('id', '=', id)
    .where('untilMs', '>', nowMs)
    .executeTakeFirst();
}

/** Those that are not over; of all applications if none is named. */
export async function silencesAt(
  db: Queries,
  { nowMs, application }: { readonly nowMs: number; readonly application?: string | undefined },
): Promise<SilenceRow[]> {
  let query = db.selectFrom('silence').selectAll().where('untilMs', '>', nowMs);
  if (application !== undefined) query = query.where('application', '=', application);
  return query.orderBy('untilMs').execute();
}

/** Ends it now. */
export async function endSilence({ now }: Catalog, id: string, db: Queries): Promise<void> {
  await db.updateTable('silence').set({ untilMs: now() }).where('id', '=', id).execute();
}
