// Pauses of schedules that people ask for, by command line and API alike: with an entry in the audit log, in the same transaction.
import { appendAudit, type Actor, type AuditLog } from '../access/audit-log.ts';
import { pauseSchedule, resumeSchedule } from '../catalog/schedules.ts';
import { scheduleIdOf } from './scheduler.ts';

interface AskedSchedule {
  readonly application: string;
  /** Its id. */
  readonly job: string;
  readonly actor: Actor;
}

/** Returns false if no server has seen such a schedule yet. */
export async function pauseAskedSchedule(
  log: AuditLog,
  { application, job, actor, untilMs }: AskedSchedule & { readonly untilMs: number | undefined },
): Promise<boolean> {
  return log.catalog.transaction(async (trx) => {
    const id = scheduleIdOf(application, job);
    if (!(await pauseSchedule(log.catalog, { id, untilMs }, trx))) return false;
    const about = { application, target: job, details: { untilMs: untilMs ?? null } };
    await appendAudit(log, { actor, action: 'schedule.paused', ...about }, trx);
    return true;
  });
}

/** Returns false if no server has seen such a schedule yet. */
export async function resumeAskedSchedule(log: AuditLog, { application, job, actor }: AskedSchedule): Promise<boolean> {
  return log.catalog.transaction(async (trx) => {
    if (!(await resumeSchedule(log.catalog, scheduleIdOf(application, job), trx))) return false;
    await appendAudit(log, { actor, action: 'schedule.resumed', application, target: job }, trx);
    return true;
  });
}
