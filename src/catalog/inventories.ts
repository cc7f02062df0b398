// What the repositories of an application were last seen to hold: the answer of `status`, with when it was given.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { InventoryTable } from './tables.ts';

export type InventoryRow = Selectable<InventoryTable>;

export async function saveInventory({ db, now }: Catalog, application: string, document: object): Promise<void> {
  const taken = { document: JSON.stringify(document), takenAtMs: now() };
  await db
    .insertInto('inventory')
    .values({ application, ...taken })
    .onConflict((conflict) => conflict.column('application').doUpdateSet(taken))
    .execute();
}

export async function findInventory({ db }: Catalog, application: string): Promise<InventoryRow | undefined> {
  return db.selectFrom('inventory').selectAll().where('application', '=', application).executeTakeFirst();
}
