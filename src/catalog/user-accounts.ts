// The table of users.
import type { Selectable } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import type { UserAccountTable } from './access-tables.ts';

export type UserAccountRow = Selectable<UserAccountTable>;

/** Returns false if the name is taken. */
export async function insertUser(
  { now }: Catalog,
  user: Pick<UserAccountRow, 'id' | 'name' | 'passwordHash'>,
  db: Queries,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('userAccount')
    .values({ ...user, createdAtMs: now() })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function findUserRow(
  db: Queries,
  by: { readonly id: string } | { readonly name: string },
): Promise<UserAccountRow | undefined> {
  const users = db.selectFrom('userAccount').selectAll();
  return ('id' in by ? users.where('id', '=', by.id) : users.where('name', '=', by.name)).executeTakeFirst();
}

export async function allUsers({ db }: Catalog): Promise<UserAccountRow[]> {
  return db.selectFrom('userAccount').selectAll().orderBy('name').execute();
}

export async function updatePasswordHash(db: Queries, id: string, passwordHash: string): Promise<void> {
  await db.updateTable('userAccount').set({ passwordHash }).where('id', '=', id).execute();
}

export async function updateDisabled({ now }: Catalog, id: string, change: { db: Queries; isDisabled: boolean }) {
  await change.db
    .updateTable('userAccount')
    .set({ disabledAtMs: change.isDisabled ? now() : null })
    .where('id', '=', id)
    .execute();
}

/** Unless it was changed meanwhile. */
export async function replacePasswordHash(
  db: Queries,
  id: string,
  { before, after }: { readonly before: string; readonly after: string },
): Promise<void> {
  await db
    .updateTable('userAccount')
    .set({ passwordHash: after })
    .where('id', '=', id)
    .where('passwordHash', '=', before)
    .execute();
}

/** Takes the row, so that who changes it comes before or after. Returns false if the user is gone, shut out, or has another password. */
export async function holdUser(db: Queries, id: string, passwordHash: string | undefined): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('userAccount')
    .set((set) => ({ disabledAtMs: set.ref('disabledAtMs') }))
    .where('id', '=', id)
    .where('disabledAtMs', 'is', null)
    .$if(passwordHash !== undefined, (query) => query.where('passwordHash', '=', passwordHash ?? null))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Its roles, identities and sessions go with it. */
export async function deleteUser(db: Queries, id: string): Promise<void> {
  await db.deleteFrom('userAccount').where('id', '=', id).execute();
}
