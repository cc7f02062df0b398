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

/** Much longer than the pause between two signs of life. */
const silenceMaxMs = 60_000;

/** Those that did not end and were heard of lately, the oldest first. */
export async function liveWorkers(catalog: Catalog): Promise<WorkerRow[]> {
  const sinceMs = (await catalog.nowMs()) - silenceMaxMs;
  return catalog.db
    .selectFrom('worker')
    .selectAll()
    .where('endedAtMs', 'is', null)
    .where('seenAtMs', '>=', sinceMs)
    .orderBy('startedAtMs')
    .execute();
}

/** Of a worker, or of a run. */
export const labelsIn = (text: string): string[] => JSON.parse(text) as string[];
