// What people ask of runs, by command line and API alike: with an entry in the audit log, in the same transaction.
import type { z } from 'zod';
import { appendAudit, type Actor, type AuditLog } from '../access/audit-log.ts';
import type { JsonObject } from '../base/json.ts';
import type { Queries } from '../catalog/catalog.ts';
import { cancelRun, findRun, insertRun, type NewRun, type RunRow } from '../catalog/runs.ts';
import { sendSignalIn, type Signal } from '../catalog/signals.ts';
import { openStates } from '../catalog/tables.ts';
import { approvalTopic, type approvalSchema } from './restore-runs.ts';

/** Returns the ids, in the order of the runs. With `approvedBy` what they do needs no other word. */
export async function startRuns(
  log: AuditLog,
  runs: readonly NewRun[],
  { actor, approvedBy }: { readonly actor: Actor; readonly approvedBy?: string | undefined },
): Promise<string[]> {
  return log.catalog.transaction(async (trx) => {
    const ids: string[] = [];
    for (const run of runs) {
      const runId = await insertRun(log.catalog, run, trx);
      ids.push(runId);
      if (approvedBy !== undefined) await sendSignalIn(trx, log.catalog, approvalOf(runId, approvedBy));
    }
    for (const [at, { kind, application, component, input }] of runs.entries()) {
      const details = {
        kind,
        component: component ?? null,
        isApproved: approvedBy !== undefined,
        input: toJson(input),
      };
      await appendAudit(log, { actor, action: 'run.started', target: ids[at], application, details }, trx);
    }
    return ids;
  });
}

const toJson = (input: object): JsonObject => JSON.parse(JSON.stringify(input)) as JsonObject;

const approvalOf = (runId: string, by: string): Signal => ({
  runId,
  topic: approvalTopic,
  data: { by } satisfies z.input<typeof approvalSchema>,
});

/** Lets a restore go on that waits for it, or will. Returns the run after it; undefined for no such run. One that has ended stays as it is. */
export async function approveRun(log: AuditLog, id: string, actor: Actor): Promise<RunRow | undefined> {
  return log.catalog.transaction(async (trx) => {
    const run = await openRun(log, id, trx);
    if (run === undefined) return findRun(log.catalog, id, trx);
    const isFirst = await sendSignalIn(trx, log.catalog, approvalOf(id, actor.name));
    const about = { target: id, application: run.application ?? undefined, details: { kind: run.kind } };
    if (isFirst === true) await appendAudit(log, { actor, action: 'run.approved', ...about }, trx);
    return findRun(log.catalog, id, trx);
  });
}

async function openRun({ catalog }: AuditLog, id: string, trx: Queries): Promise<RunRow | undefined> {
  const run = await findRun(catalog, id, trx);
  return run !== undefined && openStates.some((state) => state === run.state) ? run : undefined;
}

/** Returns the run after it; undefined for no such run. One that has ended stays as it is. */
export async function cancelAskedRun(log: AuditLog, id: string, actor: Actor): Promise<RunRow | undefined> {
  return log.catalog.transaction(async (trx) => {
    const run = await openRun(log, id, trx);
    if (run === undefined) return findRun(log.catalog, id, trx);
    await cancelRun(log.catalog, id, trx);
    const about = { target: id, application: run.application ?? undefined, details: { kind: run.kind } };
    await appendAudit(log, { actor, action: 'run.cancelled', ...about }, trx);
    return findRun(log.catalog, id, trx);
  });
}
