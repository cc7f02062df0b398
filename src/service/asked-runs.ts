// What people ask of runs, by command line and API alike: with an entry in the audit log, in the same transaction.
import { appendAudit, type Actor, type AuditLog } from '../access/audit-log.ts';
import { cancelRun, findRun, insertRun, type NewRun, type RunRow } from '../catalog/runs.ts';
import { openStates } from '../catalog/tables.ts';

/** Returns the ids, in the order of the runs. */
export async function startRuns(log: AuditLog, runs: readonly NewRun[], actor: Actor): Promise<string[]> {
  return log.catalog.transaction(async (trx) => {
    const ids: string[] = [];
    for (const run of runs) ids.push(await insertRun(log.catalog, run, trx));
    for (const [at, { kind, application, component }] of runs.entries()) {
      const about = { target: ids[at], application, details: { kind, component: component ?? null } };
      await appendAudit(log, { actor, action: 'run.started', ...about }, trx);
    }
    return ids;
  });
}

/** Returns the run after it; undefined for no such run. One that has ended stays as it is. */
export async function cancelAskedRun(log: AuditLog, id: string, actor: Actor): Promise<RunRow | undefined> {
  return log.catalog.transaction(async (trx) => {
    const run = await findRun(log.catalog, id, trx);
    if (run === undefined || !openStates.some((state) => state === run.state)) return run;
    await cancelRun(log.catalog, id, trx);
    const about = { target: id, application: run.application ?? undefined, details: { kind: run.kind } };
    await appendAudit(log, { actor, action: 'run.cancelled', ...about }, trx);
    return findRun(log.catalog, id, trx);
  });
}
