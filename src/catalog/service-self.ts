// The tables of what the service knows of itself.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { SelfBackupTable, ServiceTable } from './self-tables.ts';

export type ServiceRow = Omit<Selectable<ServiceTable>, 'id'>;
export type SelfBackupRow = Selectable<SelfBackupTable>;

export async function serviceRow({ db }: Pick<Catalog, 'db'>): Promise<ServiceRow> {
  const { id: _, ...row } = await db.selectFrom('service').selectAll().executeTakeFirstOrThrow();
  return row;
}

export async function noteSigned({ db, now }: Catalog): Promise<void> {
  await db.updateTable('service').set({ signedAtMs: now() }).execute();
}

/** So that the next start waits for an answer, too. */
export async function noteReplaced({ db }: Pick<Catalog, 'db'>): Promise<void> {
  await db.updateTable('service').set({ signedAtMs: 0 }).execute();
}

export async function saveSelfBackup({ db, now }: Catalog, backup: Omit<SelfBackupRow, 'takenAtMs'>): Promise<void> {
  const { version, snapshot } = backup;
  await db
    .insertInto('selfBackup')
    .values({ ...backup, takenAtMs: now() })
    .onConflict((conflict) =>
      conflict.columns(['application', 'repository']).doUpdateSet({ version, snapshot, takenAtMs: now() }),
    )
    .execute();
}

export async function selfBackupsOf({ db }: Catalog, application: string): Promise<SelfBackupRow[]> {
  return db.selectFrom('selfBackup').selectAll().where('application', '=', application).execute();
}
