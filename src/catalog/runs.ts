// The table of runs: who may work on one, for how long, and how it ended. Every change by a worker names the epoch at which it took the
// run, so that one who lost it can change nothing.
import { randomUUIDv7 } from 'node:crypto';
import { sql, type ExpressionBuilder, type Selectable } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import { openStates, type RunState, type RunTable, type Tables } from './tables.ts';

export type RunRow = Selectable<RunTable>;

export interface NewRun {
  readonly kind: string;
  readonly application?: string | undefined;
  readonly component?: string | undefined;
  readonly input: object;
  /** Labels that its worker must carry. */
  readonly labels?: readonly string[] | undefined;
  /** Of runs with the same key one at a time is running. */
  readonly concurrencyKey?: string | undefined;
  /** Higher goes first; 0 if absent. */
  readonly priority?: number | undefined;
  readonly wakeAtMs?: number | undefined;
  /** How often it may be begun anew after it failed for reasons that may pass; 1 if absent. */
  readonly attemptsMax?: number | undefined;
  readonly origin: object;
}

/** Returns its id. */
export async function insertRun(catalog: Catalog, run: NewRun, db: Queries = catalog.db): Promise<string> {
  const id = randomUUIDv7();
  await db
    .insertInto('run')
    .values({
      id,
      kind: run.kind,
      application: run.application ?? null,
      component: run.component ?? null,
      input: JSON.stringify(run.input),
      labels: JSON.stringify([...(run.labels ?? [])].toSorted()),
      concurrencyKey: run.concurrencyKey ?? null,
      priority: run.priority ?? 0,
      state: 'queued',
      epoch: 0,
      wakeAtMs: run.wakeAtMs ?? null,
      crashes: 0,
      attempt: 0,
      attemptsMax: run.attemptsMax ?? 1,
      origin: JSON.stringify(run.origin),
      createdAtMs: catalog.now(),
    })
    .execute();
  return id;
}

export async function findRun(catalog: Catalog, id: string, db: Queries = catalog.db): Promise<RunRow | undefined> {
  return db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst();
}

type Where = ExpressionBuilder<Tables, 'run'>;

/** Its turn has come, or whoever had it is gone. */
function isClaimable(catalog: Catalog) {
  return (where: Where) =>
    where.or([
      where.and([where('state', '=', 'queued'), where.or([where('wakeAtMs', 'is', null), due(catalog, where)])]),
      where.and([where('state', '=', 'waiting'), due(catalog, where)]),
      where.and([where('state', '=', 'running'), where('leaseUntilMs', '<', catalog.now())]),
    ]);
}

const due = (catalog: Catalog, where: Where) => where('wakeAtMs', '<=', catalog.now());

export type ClaimableRun = Pick<RunRow, 'id' | 'kind' | 'application' | 'component' | 'labels' | 'priority'>;

/** In the order in which they should be taken. Of those whose key is in use only the one that uses it. */
export async function claimableRuns(catalog: Catalog, limit: number): Promise<ClaimableRun[]> {
  return catalog.db
    .selectFrom('run')
    .select(['id', 'kind', 'application', 'component', 'labels', 'priority'])
    .where(isClaimable(catalog))
    .where((where) =>
      where.or([
        where('concurrencyKey', 'is', null),
        where('state', '=', 'running'),
        where.not(
          where.exists(
            where
              .selectFrom('run as other')
              .select('other.id')
              .whereRef('other.concurrencyKey', '=', 'run.concurrencyKey')
              .where('other.state', '=', 'running'),
          ),
        ),
      ]),
    )
    .orderBy('priority', 'desc')
    .orderBy('createdAtMs')
    .orderBy('id')
    .limit(limit)
    .execute();
}

export interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
}

/** Takes a run that is claimable and of these kinds; undefined if somebody else was faster, it is not, or another one of its key is running. */
export async function claimRun(
  catalog: Catalog,
  id: string,
  { worker, leaseMs, kinds }: Claim & { readonly kinds: readonly string[] },
): Promise<RunRow | undefined> {
  try {
    return await catalog.db
      .updateTable('run')
      .set((set) => ({
        state: 'running' as const,
        epoch: set('epoch', '+', 1),
        crashes: sql<number>`case when state = 'running' then crashes + 1 else 0 end`,
        worker,
        leaseUntilMs: sql<number>`${catalog.now()} + ${sql.lit(leaseMs)}`,
        startedAtMs: set.fn.coalesce('startedAtMs', catalog.now()),
        wakeAtMs: null,
        waitsFor: null,
      }))
      .where('id', '=', id)
      .where('kind', 'in', kinds)
      .where(isClaimable(catalog))
      .returningAll()
      .executeTakeFirst();
  } catch (error) {
    if (isOtherOfKey(error)) return undefined;
    throw error;
  }
}

function isOtherOfKey(error: unknown): boolean {
  const text = String(error);
  return /UNIQUE constraint failed: run\.concurrency_key/.test(text) || /"run_one_per_key"/.test(text);
}

/** What a worker holds. */
export interface Hold {
  readonly id: string;
  readonly epoch: number;
}

/**
 * Makes the leases of a worker longer. Returns the runs that are still its own, with whether they shall end. One that it does not name, since
 * the answer to its claim was lost, say, goes to another in time.
 */
export async function renewLeases(
  catalog: Catalog,
  ids: readonly string[],
  { worker, leaseMs }: Claim,
): Promise<(Hold & Pick<RunRow, 'cancelRequestedAtMs'>)[]> {
  return catalog.db
    .updateTable('run')
    .set({ leaseUntilMs: sql<number>`${catalog.now()} + ${sql.lit(leaseMs)}` })
    .where('id', 'in', ids)
    .where('worker', '=', worker)
    .where('state', '=', 'running')
    .returning(['id', 'epoch', 'cancelRequestedAtMs'])
    .execute();
}

const own =
  ({ id, epoch }: Hold) =>
  (where: Where) =>
    where.and([where('id', '=', id), where('epoch', '=', epoch), where('state', '=', 'running')]);

/** Whether the run is still held at this epoch; inside a transaction nobody can take it before that ends. */
export async function isHeld(db: Queries, hold: Hold, change: { readonly crashes?: number } = {}): Promise<boolean> {
  // Also where it changes nothing an update takes the row, on either database.
  const { numUpdatedRows } = await db
    .updateTable('run')
    .set({ epoch: hold.epoch, ...change })
    .where(own(hold))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export interface Ending {
  readonly state: Exclude<RunState, (typeof openStates)[number]>;
  readonly output?: object | undefined;
  readonly error?: object | undefined;
}

/** Returns false if the run is held no more. */
export async function endRun(catalog: Catalog, hold: Hold, { state, output, error }: Ending): Promise<boolean> {
  const { numUpdatedRows } = await catalog.db
    .updateTable('run')
    .set({
      state,
      output: output === undefined ? null : JSON.stringify(output),
      error: error === undefined ? null : JSON.stringify(error),
      endedAtMs: catalog.now(),
      worker: null,
      leaseUntilMs: null,
    })
    .where(own(hold))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Lets go of a run that shall be begun again: at once, or after a delay. A failed attempt counts, a worker's own end does not. */
export async function requeueRun(
  catalog: Catalog,
  hold: Hold,
  {
    delayMs,
    attempt,
    error,
  }: { readonly delayMs: number; readonly attempt: number; readonly error?: object | undefined },
): Promise<boolean> {
  const { numUpdatedRows } = await catalog.db
    .updateTable('run')
    .set({
      state: 'queued',
      attempt,
      wakeAtMs: sql<number>`${catalog.now()} + ${sql.lit(delayMs)}`,
      worker: null,
      leaseUntilMs: null,
      ...(error !== undefined && { error: JSON.stringify(error) }),
    })
    .where(own(hold))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** In a transaction that has just found the run held. */
export async function parkRun(
  db: Queries,
  hold: Hold,
  { waitsFor, wakeAtMs }: { readonly waitsFor: string | undefined; readonly wakeAtMs: number | undefined },
): Promise<void> {
  await db
    .updateTable('run')
    .set({
      state: 'waiting',
      waitsFor: waitsFor ?? null,
      wakeAtMs: wakeAtMs ?? null,
      worker: null,
      leaseUntilMs: null,
    })
    .where(own(hold))
    .execute();
}

/** A run that nobody works on ends at once, another one as soon as its worker hears of it. Returns the state after it; undefined for no such run. */
export async function cancelRun(catalog: Catalog, id: string, db: Queries = catalog.db): Promise<RunState | undefined> {
  await db
    .updateTable('run')
    .set({ state: 'cancelled', cancelRequestedAtMs: catalog.now(), endedAtMs: catalog.now() })
    .where('id', '=', id)
    .where('state', 'in', ['queued', 'waiting'])
    .execute();
  await db
    .updateTable('run')
    .set({ cancelRequestedAtMs: catalog.now() })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .where('cancelRequestedAtMs', 'is', null)
    .execute();
  return (await findRun(catalog, id, db))?.state;
}

/** Whether a run of the same is not at its end. */
export async function hasOpenRun(
  { db }: Catalog,
  { application, kind, job }: { readonly application: string; readonly kind: string; readonly job: string },
): Promise<boolean> {
  const rows = await db
    .selectFrom('run')
    .select('input')
    .where('application', '=', application)
    .where('kind', '=', kind)
    .where('state', 'in', openStates)
    .execute();
  return rows.some(({ input }) => (JSON.parse(input) as { readonly job?: string }).job === job);
}

/** The id of a run with the same input that came from the same. */
export async function findRunLike(
  { db }: Catalog,
  { kind, application = '', input, origin }: NewRun,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('run')
    .select('id')
    .where('kind', '=', kind)
    .where('application', '=', application)
    .where('input', '=', JSON.stringify(input))
    .where('origin', '=', JSON.stringify(origin))
    .executeTakeFirst();
  return row?.id;
}

/** Nobody waits for it, and it says nothing once the run has ended. */
export async function setProgress({ db }: Catalog, hold: Hold, progress: object): Promise<void> {
  await db
    .updateTable('run')
    .set({ progress: JSON.stringify(progress) })
    .where(own(hold))
    .execute();
}
