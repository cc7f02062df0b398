// The table of workers: who takes part, with which labels, and when it was last heard of.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { WorkerTable } from './tables.ts';

export type WorkerRow = Selectable<WorkerTable>;

export async function insertWorker(
  { db, now }: Catalog,
  { labels, ...worker }: Pick<WorkerRow, 'id' | 'name' | 'version'> & { readonly labels: readonly string[] },
): Promise<void> {
  await db
    .insertInto('worker')
    .values({ ...worker, labels: JSON.stringify(labels.toSorted()), startedAtMs: now(), seenAtMs: now() })
    .execute();
}

export async function seeWorker({ db, now }: Catalog, id: string): Promise<void> {
  await db.updateTable('worker').set({ seenAtMs: now() }).where('id', '=', id).execute();
}

export async function endWorker({ db, now }: Catalog, id: string): Promise<void> {
  await db.updateTable('worker').set({ seenAtMs: now(), endedAtMs: now() }).where('id', '=', id).execute();
}

/** Those that did not end and were heard of since; with the time of the database. */
export async function liveWorkers({ db }: Catalog, sinceMs: number): Promise<WorkerRow[]> {
  return db
    .selectFrom('worker')
    .selectAll()
    .where('endedAtMs', 'is', null)
    .where('seenAtMs', '>=', sinceMs)
    .orderBy('startedAtMs')
    .execute();
}
