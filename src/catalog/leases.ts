// Leases of what runs always and once: the receiver of a journal, the standby of a component, the server that acts. Whoever has one
// renews it; each new holder has a higher epoch.
import { sql, type Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { LeaseTable } from './tables.ts';

export type LeaseRow = Selectable<LeaseTable>;

export interface HeldLease {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
}

/** Takes a lease that nobody has, or whose time is over; undefined if another has it. */
export async function acquireLease(
  { db, now }: Catalog,
  { name, holder, leaseMs }: { readonly name: string; readonly holder: string; readonly leaseMs: number },
): Promise<HeldLease | undefined> {
  const untilMs = sql<number>`${now()} + ${sql.lit(leaseMs)}`;
  const row = await db
    .insertInto('lease')
    .values({ name, holder, epoch: 1, untilMs })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((set) => ({ holder, epoch: set('lease.epoch', '+', 1), untilMs, told: null, toldAtMs: null }))
        .where('lease.untilMs', '<', now()),
    )
    .returning(['epoch'])
    .executeTakeFirst();
  return row === undefined ? undefined : { name, holder, epoch: row.epoch };
}

/** Returns false if the lease is another's now. */
export async function renewLease(
  { db, now }: Catalog,
  { name, holder, epoch }: HeldLease,
  leaseMs: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('lease')
    .set({ untilMs: sql<number>`${now()} + ${sql.lit(leaseMs)}` })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** What the holder tells of its work, for status. */
export async function tellLease({ db, now }: Catalog, { name, epoch }: HeldLease, told: object): Promise<void> {
  await db
    .updateTable('lease')
    .set({ told: JSON.stringify(told), toldAtMs: now() })
    .where('name', '=', name)
    .where('epoch', '=', epoch)
    .execute();
}

export async function releaseLease({ db }: Catalog, { name, epoch }: HeldLease): Promise<void> {
  await db
    .updateTable('lease')
    .set({ untilMs: 0, holder: null })
    .where('name', '=', name)
    .where('epoch', '=', epoch)
    .execute();
}

/** Where it is known that whoever held any is gone. */
export async function expireLeases({ db }: Catalog): Promise<void> {
  await db.updateTable('lease').set({ untilMs: 0 }).execute();
  await db.updateTable('run').set({ leaseUntilMs: 0 }).where('state', '=', 'running').execute();
}

export async function leasesWith({ db }: Catalog, prefix: string): Promise<LeaseRow[]> {
  const rows = await db.selectFrom('lease').selectAll().orderBy('name').execute();
  return rows.filter(({ name }) => name.startsWith(prefix));
}
