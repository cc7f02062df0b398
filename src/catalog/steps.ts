// The steps of runs: what was done is written once, under the epoch of whoever did it.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import { isHeld, type Hold } from './runs.ts';
import type { StepTable } from './tables.ts';

export type StepRow = Selectable<StepTable>;

export async function stepsOf(catalog: Catalog, runId: string): Promise<StepRow[]> {
  return catalog.db
    .selectFrom('step')
    .selectAll()
    .where('runId', '=', runId)
    .orderBy('begunAtMs')
    .orderBy('name')
    .execute();
}

/** Notes that a step begins, with how to find again what it begins outside. Returns false if the run is held no more. */
export async function beginStep(
  catalog: Catalog,
  hold: Hold,
  { name, handle }: { readonly name: string; readonly handle?: unknown },
): Promise<boolean> {
  return catalog.transaction(async (trx) => {
    if (!(await isHeld(trx, hold))) return false;
    const { id: runId, epoch } = hold;
    const text = handle === undefined ? null : JSON.stringify(handle);
    await trx
      .insertInto('step')
      .values({ runId, name, state: 'begun', epoch, handle: text, begunAtMs: catalog.now() })
      .onConflict((conflict) =>
        conflict.columns(['runId', 'name']).doUpdateSet({ epoch, ...(handle !== undefined && { handle: text }) }),
      )
      .execute();
    return true;
  });
}

/** Returns false if the run is held no more: then nothing is written. */
export async function finishStep(
  catalog: Catalog,
  hold: Hold,
  { name, output }: { readonly name: string; readonly output: unknown },
): Promise<boolean> {
  return catalog.transaction(async (trx) => {
    if (!(await isHeld(trx, hold, { crashes: 0 }))) return false;
    const done = {
      state: 'done' as const,
      epoch: hold.epoch,
      output: JSON.stringify(output ?? null),
      doneAtMs: catalog.now(),
    };
    await trx
      .insertInto('step')
      .values({ runId: hold.id, name, begunAtMs: catalog.now(), ...done })
      .onConflict((conflict) => conflict.columns(['runId', 'name']).doUpdateSet(done).where('step.state', '=', 'begun'))
      .execute();
    return true;
  });
}
