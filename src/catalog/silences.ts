// The table of silences: what people do not want to hear of for a while.
import { randomUUIDv7 } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { SilenceTable } from './alert-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type SilenceRow = Selectable<SilenceTable>;

/** Returns its id. */
export async function insertSilence(
  { db, now }: Catalog,
  silence: Omit<SilenceRow, 'id' | 'createdAtMs'>,
): Promise<string> {
  const id = randomUUIDv7();
  await db
    .insertInto('silence')
    .values({ ...silence, id, createdAtMs: now() })
    .execute();
  return id;
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
export async function endSilence({ db, now }: Catalog, id: string): Promise<void> {
  await db.updateTable('silence').set({ untilMs: now() }).where('id', '=', id).execute();
}
