// The table of sessions: one that is not in it, or too old, opens nothing.
import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { SessionTable } from './access-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type SessionRow = Selectable<SessionTable>;

export interface SessionAges {
  /** Since it was last used. */
  readonly idleMaxMs: number;
  /** Since it began. */
  readonly ageMaxMs: number;
}

export async function insertSession(
  { now }: Catalog,
  session: Pick<SessionRow, 'hash' | 'userId' | 'address'>,
  db: Queries,
): Promise<void> {
  await db
    .insertInto('session')
    .values({ ...session, createdAtMs: now(), seenAtMs: now() })
    .execute();
}

const before = ({ now }: Catalog, ms: number): RawBuilder<number> => sql<number>`${now()} - ${sql.lit(ms)}`;

/** With the time at which it was looked for. */
export async function findValidSession(
  catalog: Catalog,
  hash: string,
  { idleMaxMs, ageMaxMs }: SessionAges,
): Promise<(SessionRow & { readonly readAtMs: number }) | undefined> {
  return catalog.db
    .selectFrom('session')
    .selectAll()
    .select(catalog.now().as('readAtMs'))
    .where('hash', '=', hash)
    .where('seenAtMs', '>', before(catalog, idleMaxMs))
    .where('createdAtMs', '>', before(catalog, ageMaxMs))
    .executeTakeFirst();
}

/** Notes that it was used. */
export async function touchSession({ db, now }: Catalog, hash: string): Promise<void> {
  await db.updateTable('session').set({ seenAtMs: now() }).where('hash', '=', hash).execute();
}

export async function deleteSession(db: Queries, hash: string): Promise<void> {
  await db.deleteFrom('session').where('hash', '=', hash).execute();
}

/** Returns how many there were. */
export async function deleteSessionsOf(db: Queries, userId: string): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('session').where('userId', '=', userId).executeTakeFirst();
  return Number(numDeletedRows);
}

/** Those that open nothing any more, and of one user all but the newest. */
export async function deleteOldSessions(
  catalog: Catalog,
  { idleMaxMs, ageMaxMs, userId, keptMax }: SessionAges & { readonly userId: string; readonly keptMax: number },
  db: Queries,
): Promise<void> {
  await db
    .deleteFrom('session')
    .where((where) =>
      where.or([
        where('seenAtMs', '<=', before(catalog, idleMaxMs)),
        where('createdAtMs', '<=', before(catalog, ageMaxMs)),
      ]),
    )
    .execute();
  const kept = db
    .selectFrom('session')
    .select('hash')
    .where('userId', '=', userId)
    .orderBy('seenAtMs', 'desc')
    .orderBy('hash')
    .limit(keptMax);
  await db.deleteFrom('session').where('userId', '=', userId).where('hash', 'not in', kept).execute();
}
