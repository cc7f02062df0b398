// How components stand, and how they stood. A standing has the moment since when it is so; the series has a sample for each change, and
// one every quarter of an hour.
import type { Selectable } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import type { StandingSampleTable, StandingTable } from './tables.ts';

export type StandingRow = Selectable<StandingTable>;
export type StandingSampleRow = Selectable<StandingSampleTable>;

const sampleEveryMs = 15 * 60_000;
/** Older samples go. */
const sampleMaxAgeMs = 400 * 86_400_000;

export type SeenStanding = Omit<StandingRow, 'sinceMs'>;

/** Of a component that was never seen to come back, and of which nobody promised how fast it does. */
export const neverRestored = {
  rtoMs: null,
  restoreMs: null,
  restoreAtMs: null,
  restoreLowMs: null,
  restoreHighMs: null,
} as const satisfies Partial<StandingRow>;

/** Returns those whose standing is another than before. */
export async function saveStandings(
  catalog: Catalog,
  application: string,
  seen: readonly SeenStanding[],
): Promise<StandingRow[]> {
  return catalog.transaction(async (trx) => {
    const known = new Map((await knownStandings(trx, application)).map((row) => [row.component, row]));
    const names = seen.map(({ component }) => component);
    await trx
      .deleteFrom('standing')
      .where('application', '=', application)
      .$if(names.length > 0, (query) => query.where('component', 'not in', names))
      .execute();
    const rows = seen.map((one): StandingRow => {
      const old = known.get(one.component);
      return { ...one, sinceMs: old?.standing === one.standing ? old.sinceMs : one.seenAtMs };
    });
    const isChanged = ({ component, standing }: StandingRow): boolean => known.get(component)?.standing !== standing;
    const isDue = ({ component, seenAtMs }: StandingRow): boolean =>
      seenAtMs - (known.get(component)?.sampledAtMs ?? 0) >= sampleEveryMs;
    // A statement for many: whoever asks meanwhile waits until all is written.
    for (const part of parts(rows)) await saveRows(trx, part);
    for (const part of parts(rows.filter((row) => isChanged(row) || isDue(row)))) await addSamples(trx, part);
    return rows.filter(isChanged);
  });
}

/** Whose components a server has looked at. */
export async function applicationsSeen({ db }: Catalog): Promise<string[]> {
  const rows = await db.selectFrom('standing').select('application').distinct().orderBy('application').execute();
  return rows.map(({ application }) => application);
}

const rowsAtOnceMax = 500;

function* parts<Row>(rows: readonly Row[]): Generator<readonly Row[], undefined> {
  for (let at = 0; at < rows.length; at += rowsAtOnceMax) yield rows.slice(at, at + rowsAtOnceMax);
}

type KnownStanding = StandingRow & { readonly sampledAtMs: number | null };

async function knownStandings(trx: Queries, application: string): Promise<KnownStanding[]> {
  return trx
    .selectFrom('standing')
    .selectAll()
    .select((select) =>
      select
        .selectFrom('standingSample')
        .select((sample) => sample.fn.max<number | null>('standingSample.atMs').as('atMs'))
        .whereRef('standingSample.application', '=', 'standing.application')
        .whereRef('standingSample.component', '=', 'standing.component')
        .as('sampledAtMs'),
    )
    .where('application', '=', application)
    .execute();
}

async function saveRows(trx: Queries, rows: readonly StandingRow[]): Promise<void> {
  await trx
    .insertInto('standing')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['application', 'component']).doUpdateSet((set) => ({
        standing: set.ref('excluded.standing'),
        reason: set.ref('excluded.reason'),
        hint: set.ref('excluded.hint'),
        ageMs: set.ref('excluded.ageMs'),
        rpoMs: set.ref('excluded.rpoMs'),
        rtoMs: set.ref('excluded.rtoMs'),
        restoreMs: set.ref('excluded.restoreMs'),
        restoreAtMs: set.ref('excluded.restoreAtMs'),
        restoreLowMs: set.ref('excluded.restoreLowMs'),
        restoreHighMs: set.ref('excluded.restoreHighMs'),
        sinceMs: set.ref('excluded.sinceMs'),
        seenAtMs: set.ref('excluded.seenAtMs'),
      })),
    )
    .execute();
}

async function addSamples(trx: Queries, rows: readonly StandingRow[]): Promise<void> {
  const samples = rows.map(({ application, component, standing, ageMs, restoreMs, seenAtMs: atMs }) => {
    return { application, component, standing, ageMs, restoreMs, atMs };
  });
  await trx
    .insertInto('standingSample')
    .values(samples)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** All if no applications are given; of all components if none are. */
export async function standingsOf(
  { db }: Catalog,
  applications?: readonly string[],
  components?: readonly string[],
): Promise<StandingRow[]> {
  if (applications?.length === 0 || components?.length === 0) return [];
  let query = db.selectFrom('standing').selectAll();
  if (applications !== undefined) query = query.where('application', 'in', applications);
  if (components !== undefined) query = query.where('component', 'in', components);
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
