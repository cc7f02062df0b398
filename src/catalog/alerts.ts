// The table of alerts: what is or was wrong, and what people did about it.
import type { Selectable, Updateable } from 'kysely';
import type { AlertTable } from './alert-tables.ts';
import type { Catalog, Queries } from './catalog.ts';
import { endingPattern } from './id-ending.ts';

export type AlertRow = Selectable<AlertTable>;

/** Of what is wrong now, also where a person does not want to hear of it any more. Until the transaction ends nobody else changes them. */
export async function openAlerts({ kind }: Catalog, trx: Queries, application: string): Promise<AlertRow[]> {
  return trx
    .selectFrom('alert')
    .selectAll()
    .where('application', '=', application)
    .where('openKey', 'is not', null)
    .orderBy('sinceMs')
    .orderBy('id')
    .$if(kind === 'postgres', (query) => query.forUpdate())
    .execute();
}

export async function alertsById(db: Queries, ids: readonly string[]): Promise<AlertRow[]> {
  return ids.length === 0 ? [] : db.selectFrom('alert').selectAll().where('id', 'in', ids).execute();
}

/** New, or in place of what was known of it. */
export async function saveAlert(db: Queries, alert: AlertRow): Promise<void> {
  await db
    .insertInto('alert')
    .values(alert)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(alert))
    .execute();
}

/** Returns false if there is one of that id already. */
export async function insertAlert(db: Queries, alert: AlertRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('alert')
    .values(alert)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function updateAlert(db: Queries, id: string, change: Updateable<AlertTable>): Promise<void> {
  await db.updateTable('alert').set(change).where('id', '=', id).execute();
}

/** One that nobody was told of. */
export async function deleteAlert(db: Queries, id: string): Promise<void> {
  await db.deleteFrom('alert').where('id', '=', id).execute();
}

export interface AlertFilter {
  /** Only of these; all if absent. */
  readonly applications?: readonly string[] | undefined;
  readonly component?: string | undefined;
  /** Only what is wrong now, and what nobody said to be done with. */
  readonly isOpen: boolean;
  /** The last alert of the page before. */
  readonly after?: { readonly sinceMs: number; readonly id: string } | undefined;
  readonly limit: number;
}

/** Newest first, without those too new to tell and without what went well. */
export async function listAlerts({ db }: Catalog, filter: AlertFilter): Promise<AlertRow[]> {
  const { applications, component, isOpen, after, limit } = filter;
  let query = db.selectFrom('alert').selectAll().where('state', '!=', 'pending').where('kind', '!=', 'report');
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  if (component !== undefined) query = query.where('component', '=', component);
  if (isOpen) query = query.where('state', '!=', 'resolved');
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('sinceMs', '<', after.sinceMs),
        where.and([where('sinceMs', '=', after.sinceMs), where('id', '<', after.id)]),
      ]),
    );
  }
  return query.orderBy('sinceMs', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

/** By the last characters of their ids, where they differ, or a whole one; at most `limit`. */
export async function alertsByEnding({ db }: Catalog, ending: string, limit: number): Promise<AlertRow[]> {
  return db
    .selectFrom('alert')
    .selectAll()
    .where('id', 'like', endingPattern(ending))
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Resolved alerts that are older go, and what was sent of them. */
const keptMs = 400 * 86_400_000;

export async function trimAlerts(catalog: Catalog): Promise<void> {
  const beforeMs = (await catalog.nowMs()) - keptMs;
  await catalog.db.deleteFrom('alert').where('openKey', 'is', null).where('resolvedAtMs', '<', beforeMs).execute();
}
