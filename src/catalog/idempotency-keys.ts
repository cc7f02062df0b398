// The table of requests that must not be carried out twice, with what they were answered.
import { sql, type Selectable } from 'kysely';
import type { IdempotencyKeyTable } from './access-tables.ts';
import type { Catalog } from './catalog.ts';

export type IdempotencyKeyRow = Selectable<IdempotencyKeyTable>;
export type KeyOfRequest = Pick<IdempotencyKeyRow, 'principal' | 'key'>;

/** A key may be used anew after this. */
export const keyLifeMs = 24 * 3_600_000;

/** Takes the key for a request; undefined if that worked, else who had it before. */
export async function takeIdempotencyKey(
  { db, now }: Catalog,
  { principal, key, requestHash }: KeyOfRequest & Pick<IdempotencyKeyRow, 'requestHash'>,
): Promise<IdempotencyKeyRow | undefined> {
  const tooOld = sql<number>`${now()} - ${sql.lit(keyLifeMs)}`;
  await db.deleteFrom('idempotencyKey').where('createdAtMs', '<', tooOld).execute();
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('idempotencyKey')
    .values({ principal, key, requestHash, createdAtMs: now() })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return undefined;
  return db
    .selectFrom('idempotencyKey')
    .selectAll()
    .where('principal', '=', principal)
    .where('key', '=', key)
    .executeTakeFirst();
}

export async function keepAnswer(
  { db }: Catalog,
  { principal, key, status, answer }: KeyOfRequest & { readonly status: number; readonly answer: string },
): Promise<void> {
  await db
    .updateTable('idempotencyKey')
    .set({ status, answer })
    .where('principal', '=', principal)
    .where('key', '=', key)
    .execute();
}

/** The request failed in a way that may pass: the key is free again. */
export async function freeIdempotencyKey({ db }: Catalog, { principal, key }: KeyOfRequest): Promise<void> {
  await db.deleteFrom('idempotencyKey').where('principal', '=', principal).where('key', '=', key).execute();
}
