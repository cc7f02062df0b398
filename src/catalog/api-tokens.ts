// The table of API tokens. A token itself is in no table: it is found by its hash.
import type { Selectable } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import type { ApiTokenTable } from './access-tables.ts';

export type ApiTokenRow = Selectable<ApiTokenTable>;

export type NewApiToken = Omit<ApiTokenRow, 'createdAtMs' | 'lastUsedAtMs' | 'revokedAtMs'>;

export async function insertApiToken({ now }: Catalog, token: NewApiToken, db: Queries): Promise<void> {
  await db
    .insertInto('apiToken')
    .values({ ...token, createdAtMs: now() })
    .execute();
}

/** One that was not revoked and is not too old, with the time at which it was looked for. */
export async function findValidApiToken(
  { db, now }: Catalog,
  hash: string,
): Promise<(ApiTokenRow & { readonly readAtMs: number }) | undefined> {
  return db
    .selectFrom('apiToken')
    .selectAll()
    .select(now().as('readAtMs'))
    .where('hash', '=', hash)
    .where('revokedAtMs', 'is', null)
    .where((where) => where.or([where('expiresAtMs', 'is', null), where('expiresAtMs', '>', now())]))
    .executeTakeFirst();
}

export async function findApiToken(db: Queries, id: string): Promise<ApiTokenRow | undefined> {
  return db.selectFrom('apiToken').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Newest last. */
export async function allApiTokens({ db }: Catalog): Promise<ApiTokenRow[]> {
  return db.selectFrom('apiToken').selectAll().orderBy('createdAtMs').orderBy('id').execute();
}

/** Returns false if it was revoked before, or is none. */
export async function revokeApiToken({ now }: Catalog, id: string, db: Queries): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('apiToken')
    .set({ revokedAtMs: now() })
    .where('id', '=', id)
    .where('revokedAtMs', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Notes that it was used. */
export async function touchApiToken({ db, now }: Catalog, id: string): Promise<void> {
  await db.updateTable('apiToken').set({ lastUsedAtMs: now() }).where('id', '=', id).execute();
}
