// The table of what was done by whom. Rows are added behind the head, one at a time, and go only from the beginning.
import type { Selectable } from 'kysely';
import type { AuditEntryTable, AuditHeadTable } from './access-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type AuditEntryRow = Selectable<AuditEntryTable>;
export type AuditHeadRow = Omit<Selectable<AuditHeadTable>, 'id'>;

/** Where the log ends. Inside the transaction nobody else can append before it ends. */
export async function takeAuditHead(trx: Queries): Promise<AuditHeadRow> {
  // An update takes the row, on either database.
  const { id: _, ...head } = await trx
    .updateTable('auditHead')
    .set((set) => ({ number: set.ref('number') }))
    .where('id', '=', 1)
    .returningAll()
    .executeTakeFirstOrThrow();
  return head;
}

export async function auditHead({ db }: Catalog): Promise<AuditHeadRow> {
  const { id: _, ...head } = await db.selectFrom('auditHead').selectAll().where('id', '=', 1).executeTakeFirstOrThrow();
  return head;
}

/** In the transaction that took the head. */
export async function insertAuditEntry(trx: Queries, entry: AuditEntryRow): Promise<void> {
  await trx.insertInto('auditEntry').values(entry).execute();
  const { number, hash } = entry;
  await trx.updateTable('auditHead').set({ number, hash }).where('id', '=', 1).execute();
}

export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  /** Only of these; all, and what is of none, if absent. */
  readonly applications?: readonly string[] | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** Newest first. */
export async function auditEntries(
  { db }: Catalog,
  filter: AuditFilter & { readonly beforeNumber?: number | undefined; readonly limit: number },
): Promise<AuditEntryRow[]> {
  const { actor, action, target, applications, sinceMs, untilMs, beforeNumber, limit } = filter;
  return db
    .selectFrom('auditEntry')
    .selectAll()
    .$if(actor !== undefined, (query) => query.where('actorName', '=', actor ?? ''))
    .$if(action !== undefined, (query) => query.where('action', '=', action ?? ''))
    .$if(target !== undefined, (query) => query.where('target', '=', target ?? ''))
    .$if(applications !== undefined, (query) => query.where('application', 'in', [...(applications ?? []), '']))
    .$if(sinceMs !== undefined, (query) => query.where('atMs', '>=', sinceMs ?? 0))
    .$if(untilMs !== undefined, (query) => query.where('atMs', '<', untilMs ?? 0))
    .$if(beforeNumber !== undefined, (query) => query.where('number', '<', beforeNumber ?? 0))
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
}

const pageSize = 1000;

/** All, oldest first, in pages. */
export async function* auditEntriesInOrder({ db }: Catalog): AsyncGenerator<AuditEntryRow> {
  let after = -1;
  for (;;) {
    const page = await db
      .selectFrom('auditEntry')
      .selectAll()
      .where('number', '>', after)
      .orderBy('number')
      .limit(pageSize)
      .execute();
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = last.number;
  }
}

/** The number of the oldest that is not older. */
export async function firstAuditEntrySince(trx: Queries, sinceMs: number): Promise<number | undefined> {
  const row = await trx
    .selectFrom('auditEntry')
    .select((select) => select.fn.min('number').as('number'))
    .where('atMs', '>=', sinceMs)
    .executeTakeFirst();
  return row?.number ?? undefined;
}

/** Returns how many there were. */
export async function deleteAuditEntriesUpTo(trx: Queries, number: number): Promise<number> {
  const { numDeletedRows } = await trx.deleteFrom('auditEntry').where('number', '<=', number).executeTakeFirst();
  return Number(numDeletedRows);
}
