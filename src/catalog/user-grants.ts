// The table of roles: one for a user and an application.
import type { Queries } from './catalog.ts';

interface GrantRow {
  readonly application: string;
  readonly role: string;
}

export async function grantsOf(db: Queries, userId: string): Promise<GrantRow[]> {
  return db
    .selectFrom('userGrant')
    .select(['application', 'role'])
    .where('userId', '=', userId)
    .orderBy('application')
    .execute();
}

/** In place of all that were there. */
export async function replaceGrants(db: Queries, userId: string, grants: readonly GrantRow[]): Promise<void> {
  await db.deleteFrom('userGrant').where('userId', '=', userId).execute();
  if (grants.length === 0) return;
  const rows = grants.map(({ application, role }) => ({ userId, application, role }));
  await db.insertInto('userGrant').values(rows).execute();
}
