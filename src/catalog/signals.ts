// Signals to runs. One may come before its run waits for it, or between its look and its sleep: both take the run's row first, so
// that none is lost.
import type { Catalog, Queries } from './catalog.ts';
import { isHeld, parkRun, type Hold } from './runs.ts';

export interface Signal {
  readonly runId: string;
  readonly topic: string;
  readonly data: unknown;
}

/** The first signal of a topic counts. Returns whether this was it; undefined for no such run. */
export async function sendSignal(catalog: Catalog, signal: Signal): Promise<boolean | undefined> {
  return catalog.transaction((trx) => sendSignalIn(trx, catalog, signal));
}

/** Together with what else belongs to it. */
export async function sendSignalIn(
  trx: Queries,
  catalog: Pick<Catalog, 'now'>,
  { runId, topic, data }: Signal,
): Promise<boolean | undefined> {
  // Takes the row, whatever its state.
  const { numUpdatedRows } = await trx
    .updateTable('run')
    .set((set) => ({ epoch: set.ref('epoch') }))
    .where('id', '=', runId)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return undefined;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('signal')
    .values({ runId, topic, data: JSON.stringify(data ?? null), sentAtMs: catalog.now() })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  await trx
    .updateTable('run')
    .set({ state: 'queued', wakeAtMs: null, waitsFor: null })
    .where('id', '=', runId)
    .where('state', '=', 'waiting')
    .where('waitsFor', '=', topic)
    .execute();
  return numInsertedOrUpdatedRows === 1n;
}

export async function signalsOf(catalog: Catalog, runId: string): Promise<ReadonlyMap<string, unknown>> {
  const rows = await catalog.db.selectFrom('signal').select(['topic', 'data']).where('runId', '=', runId).execute();
  return new Map(rows.map(({ topic, data }) => [topic, JSON.parse(data) as unknown]));
}

export type Parked = 'parked' | 'signalled' | 'lost';

/** Puts a run aside until a signal or a time, unless the signal is there already, or the run is held no more. */
export async function parkUntil(
  catalog: Catalog,
  hold: Hold,
  until: { readonly topic: string | undefined; readonly wakeAtMs: number | undefined },
): Promise<Parked> {
  return catalog.transaction(async (trx) => {
    if (!(await isHeld(trx, hold))) return 'lost';
    const { topic, wakeAtMs } = until;
    if (topic !== undefined) {
      const signal = await trx
        .selectFrom('signal')
        .select('topic')
        .where('runId', '=', hold.id)
        .where('topic', '=', topic)
        .executeTakeFirst();
      if (signal !== undefined) return 'signalled';
    }
    await parkRun(trx, hold, { waitsFor: topic, wakeAtMs });
    return 'parked';
  });
}
