// How components stand, and how they stood. A standing has the moment since when it is so; the series has a sample for each change, and
// one every quarter of an hour.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { StandingSampleTable, StandingTable } from './tables.ts';

export type StandingRow = Selectable<StandingTable>;
export type StandingSampleRow = Selectable<StandingSampleTable>;

const sampleEveryMs = 15 * 60_000;
/** Older samples go. */
const sampleMaxAgeMs = 400 * 86_400_000;

export type SeenStanding = Omit<StandingRow, 'sinceMs'>;

/** Returns those whose standing is another than before. */
export async function saveStandings(
  catalog: Catalog,
  application: string,
  seen: readonly SeenStanding[],
): Promise<StandingRow[]> {
  return catalog.transaction(async (trx) => {
    const before = await trx.selectFrom('standing').selectAll().where('application', '=', application).execute();
    const changed: StandingRow[] = [];
    const names = seen.map(({ component }) => component);
    await trx
      .deleteFrom('standing')
      .where('application', '=', application)
      .$if(names.length > 0, (query) => query.where('component', 'not in', names))
      .execute();
    for (const one of seen) {
      const old = before.find(({ component }) => component === one.component);
      const isSame = old?.standing === one.standing;
      const row: StandingRow = { ...one, sinceMs: isSame ? old.sinceMs : one.seenAtMs };
      if (!isSame) changed.push(row);
      await trx
        .insertInto('standing')
        .values(row)
        .onConflict((conflict) => conflict.columns(['application', 'component']).doUpdateSet(row))
        .execute();
      const last = await trx
        .selectFrom('standingSample')
        .select((select) => select.fn.max<number | null>('atMs').as('atMs'))
        .where('application', '=', application)
        .where('component', '=', one.component)
        .executeTakeFirst();
      if (isSame && one.seenAtMs - (last?.atMs ?? 0) < sampleEveryMs) continue;
      const { component, standing, ageMs, seenAtMs: atMs } = one;
      await trx
        .insertInto('standingSample')
        .values({ application, component, standing, ageMs, atMs })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    return changed;
  });
}

export async function standingsOf({ db }: Catalog, applications?: readonly string[]): Promise<StandingRow[]> {
  if (applications?.length === 0) return [];
  let query = db.selectFrom('standing').selectAll();
  if (applications !== undefined) query = query.where('application', 'in', applications);
  return query.orderBy('application').orderBy('component').execute();
}

/** Oldest first. */
export async function standingSamples(
  { db }: Catalog,
  {
    application,
    component,
    sinceMs,
  }: { readonly application: string; readonly component: string; readonly sinceMs: number },
): Promise<StandingSampleRow[]> {
  return db
    .selectFrom('standingSample')
    .selectAll()
    .where('application', '=', application)
    .where('component', '=', component)
    .where('atMs', '>=', sinceMs)
    .orderBy('atMs')
    .execute();
}

/** Returns how many went. */
export async function trimSamples(catalog: Catalog): Promise<number> {
  const beforeMs = (await catalog.nowMs()) - sampleMaxAgeMs;
  const { numDeletedRows } = await catalog.db
    .deleteFrom('standingSample')
    .where('atMs', '<', beforeMs)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
