// The table of failed logins. Attempts are counted before a password is looked at, so that many at once are as many.
import { sql } from 'kysely';
import type { Catalog } from './catalog.ts';

export interface LoginFailures {
  readonly failures: number;
  readonly lastAtMs: number;
}

/** A failure that is older counts no more. */
export const failureMemoryMs = 24 * 3_600_000;
/** The table grows no further, whatever names and addresses strangers think of. */
export const subjectsMax = 10_000;

export async function loginFailuresOf(catalog: Catalog, subject: string): Promise<LoginFailures | undefined> {
  return catalog.db
    .selectFrom('loginFailure')
    .select(['failures', 'lastAtMs'])
    .where('subject', '=', subject)
    .where('lastAtMs', '>', sql<number>`${catalog.now()} - ${sql.lit(failureMemoryMs)}`)
    .executeTakeFirst();
}

/** One more. Returns how many there are with it. */
export async function countLoginFailure(catalog: Catalog, subject: string): Promise<number> {
  const { db, now } = catalog;
  const { failures } = await db
    .insertInto('loginFailure')
    .values({ subject, failures: 1, lastAtMs: now() })
    .onConflict((conflict) =>
      conflict.column('subject').doUpdateSet({
        failures: sql<number>`case when login_failure.last_at_ms > ${now()} - ${sql.lit(failureMemoryMs)} then login_failure.failures + 1 else 1 end`,
        lastAtMs: now(),
      }),
    )
    .returning('failures')
    .executeTakeFirstOrThrow();
  await forgetOld(catalog);
  return failures;
}

async function forgetOld({ db, now }: Catalog): Promise<void> {
  await db
    .deleteFrom('loginFailure')
    .where('lastAtMs', '<=', sql<number>`${now()} - ${sql.lit(failureMemoryMs)}`)
    .execute();
  const newest = db
    .selectFrom('loginFailure')
    .select('subject')
    .orderBy('lastAtMs', 'desc')
    .orderBy('subject')
    .limit(subjectsMax);
  const { count } = await db
    .selectFrom('loginFailure')
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  if (count > subjectsMax) await db.deleteFrom('loginFailure').where('subject', 'not in', newest).execute();
}

/** Takes back what was counted for an attempt that succeeded. */
export async function uncountLoginFailure({ db }: Catalog, subject: string): Promise<void> {
  await db
    .updateTable('loginFailure')
    .set((set) => ({ failures: set('failures', '-', 1) }))
    .where('subject', '=', subject)
    .where('failures', '>', 0)
    .execute();
}

export async function clearLoginFailures({ db }: Catalog, subject: string): Promise<void> {
  await db.deleteFrom('loginFailure').where('subject', '=', subject).execute();
}
