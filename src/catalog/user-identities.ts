// The table of identities: which user an OpenID provider means.
import type { Selectable } from 'kysely';
import type { UserIdentityTable } from './access-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

type IdentityRow = Selectable<UserIdentityTable>;
type Identity = Pick<IdentityRow, 'issuer' | 'subject'>;

/** Returns false if it belongs to somebody already. */
export async function insertIdentity(
  { now }: Catalog,
  identity: Omit<IdentityRow, 'linkedAtMs'>,
  db: Queries,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('userIdentity')
    .values({ ...identity, linkedAtMs: now() })
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function userIdOfIdentity(db: Queries, { issuer, subject }: Identity): Promise<string | undefined> {
  const row = await db
    .selectFrom('userIdentity')
    .select('userId')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  return row?.userId;
}

export async function identitiesOf(db: Queries, userId: string): Promise<Identity[]> {
  return db
    .selectFrom('userIdentity')
    .select(['issuer', 'subject'])
    .where('userId', '=', userId)
    .orderBy('issuer')
    .orderBy('subject')
    .execute();
}
