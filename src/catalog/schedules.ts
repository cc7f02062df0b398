// What of schedules was dealt with. A moment is dealt with once, by whoever writes its row first.
import { sql, type Selectable } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import { insertRun, type NewRun } from './runs.ts';
import type { ScheduleTable } from './tables.ts';

export type ScheduleRow = Selectable<ScheduleTable>;

export interface WantedSchedule {
  readonly id: string;
  readonly spec: string;
  /** Whoever wants it knows that all moments up to then were dealt with. */
  readonly upToMs?: number | undefined;
}

/** By id. One that is new, or says something else than before, begins now, unless it is known how far it had come. */
export async function knownSchedules(
  catalog: Catalog,
  wanted: readonly WantedSchedule[],
): Promise<Map<string, ScheduleRow>> {
  await endPauses(catalog);
  let known = await schedulesById(catalog);
  const fresh = wanted.filter(({ id, spec }) => known.get(id)?.spec !== spec);
  if (fresh.length > 0) {
    await catalog.db
      .insertInto('schedule')
      .values(fresh.map(({ id, spec, upToMs }) => ({ id, spec, firedUpToMs: upToMs ?? catalog.now() })))
      .onConflict((conflict) =>
        conflict
          .column('id')
          .doUpdateSet((set) => ({ spec: set.ref('excluded.spec'), firedUpToMs: set.ref('excluded.firedUpToMs') }))
          .whereRef('schedule.spec', '!=', 'excluded.spec'),
      )
      .execute();
    known = await schedulesById(catalog);
  }
  return known;
}

/** What came in a pause is left out. */
async function endPauses({ db, now }: Catalog): Promise<void> {
  await db
    .updateTable('schedule')
    .set((set) => ({
      firedUpToMs: sql<number>`case when ${set.ref('firedUpToMs')} > ${set.ref('pausedUntilMs')} then ${set.ref('firedUpToMs')} else ${set.ref('pausedUntilMs')} end`,
      pausedAtMs: null,
      pausedUntilMs: null,
    }))
    .where('pausedUntilMs', '<=', now())
    .execute();
}

async function schedulesById({ db }: Catalog): Promise<Map<string, ScheduleRow>> {
  const rows = await db.selectFrom('schedule').selectAll().execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** How often it has started a run. */
export async function countFirings({ db }: Catalog, scheduleId: string): Promise<number> {
  const row = await db
    .selectFrom('firing')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('scheduleId', '=', scheduleId)
    .where('runId', 'is not', null)
    .executeTakeFirst();
  return row?.count ?? 0;
}

export interface Firing {
  readonly scheduleId: string;
  readonly plannedAtMs: number;
  /** Moments before it that nobody dealt with: noted, and left out. */
  readonly missedMs: readonly number[];
  /** Absent where the moment itself is left out. */
  readonly run: NewRun | undefined;
}

/** Stores the moments and the run in one step. Returns the run's id; undefined if another was faster, or there is none to start. */
export async function fire(
  catalog: Catalog,
  { scheduleId, plannedAtMs, missedMs, run }: Firing,
): Promise<string | undefined> {
  return catalog.transaction(async (trx) => {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('firing')
      .values({ scheduleId, plannedAtMs, runId: null, firedAtMs: catalog.now() })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) return undefined;
    if (missedMs.length > 0) {
      await trx
        .insertInto('firing')
        .values(missedMs.map((missed) => ({ scheduleId, plannedAtMs: missed, runId: null, firedAtMs: catalog.now() })))
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    await trx
      .updateTable('schedule')
      .set({ firedUpToMs: plannedAtMs })
      .where('id', '=', scheduleId)
      .where('firedUpToMs', '<', plannedAtMs)
      .execute();
    if (run === undefined) return undefined;
    const runId = await insertRun(catalog, run, trx);
    await trx
      .updateTable('firing')
      .set({ runId })
      .where('scheduleId', '=', scheduleId)
      .where('plannedAtMs', '=', plannedAtMs)
      .execute();
    return runId;
  });
}

/** Until a moment, or until somebody resumes it. What comes meanwhile is left out. Returns false for no such schedule. */
export async function pauseSchedule(
  { db: own, now }: Catalog,
  { id, untilMs }: { readonly id: string; readonly untilMs: number | undefined },
  db: Queries = own,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('schedule')
    .set({ pausedAtMs: now(), pausedUntilMs: untilMs ?? null })
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Goes on from now. */
export async function resumeSchedule({ db: own, now }: Catalog, id: string, db: Queries = own): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('schedule')
    .set({ pausedAtMs: null, pausedUntilMs: null, firedUpToMs: now() })
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export interface KnownSchedule extends ScheduleRow {
  /** When the newest moment that was dealt with was dealt with; absent where none was yet. */
  readonly firedAtMs: number | null;
}

/** As they are, without beginning any: for whoever looks. Of these ids; all if absent. */
export async function allSchedules({ db }: Catalog, ids?: readonly string[]): Promise<KnownSchedule[]> {
  const query = db
    .selectFrom('schedule')
    .leftJoin('firing', (join) =>
      join.onRef('firing.scheduleId', '=', 'schedule.id').onRef('firing.plannedAtMs', '=', 'schedule.firedUpToMs'),
    )
    .selectAll('schedule')
    .select('firing.firedAtMs')
    .orderBy('schedule.id');
  // No schedule has an empty id: the list may be empty.
  return (ids === undefined ? query : query.where('schedule.id', 'in', [...ids, ''])).execute();
}
