// What people do about alerts: take care of one, call it done with, ask for silence. All of it is in the audit log.
import { appendAudit, type Actor, type AuditLog } from '../access/audit-log.ts';
import { AppError } from '../base/errors.ts';
import { deliveriesOf, insertDelivery, updateDelivery } from '../catalog/alert-deliveries.ts';
import { alertsById, updateAlert, type AlertRow } from '../catalog/alerts.ts';
import { endSilence, insertSilence, type SilenceRow } from '../catalog/silences.ts';
import { closingMessages } from '../monitoring/alerts/plan.ts';

/**
 * Nobody else is told of it then, unless it gets worse. `resolved`: neither while it lasts. Who was told hears who did so. Rejects with
 * `ALREADY_DONE` for one that is so already.
 */
export async function answerAlert(
  log: AuditLog,
  { id, state, actor }: { readonly id: string; readonly state: 'acknowledged' | 'resolved'; readonly actor: Actor },
): Promise<AlertRow> {
  const { catalog } = log;
  return catalog.transaction(async (trx) => {
    const nowMs = await catalog.nowMs(trx);
    const [alert] = await alertsById(trx, [id]);
    if (alert === undefined || alert.state === 'resolved' || alert.state === state) {
      throw new AppError('ALREADY_DONE', `the alert is ${alert?.state ?? 'gone'} already`, {
        hint: "'lifeboat alerts list' shows what is open.",
      });
    }
    const time = state === 'acknowledged' ? { acknowledgedAtMs: nowMs } : { resolvedAtMs: nowMs };
    const change = { state, byPerson: actor.name, ...time };
    await updateAlert(trx, id, change);
    const deliveries = await deliveriesOf(trx, [id]);
    for (const message of closingMessages({ deliveries, nowMs }, { alert, state })) {
      await insertDelivery(catalog, message, trx);
    }
    for (const { id: waiting, outcome, state: of } of deliveries) {
      if (outcome === 'waiting' && of === 'firing')
        await updateDelivery(trx, waiting, { outcome: 'dropped', endedAtMs: nowMs });
    }
    const { application, subject } = alert;
    await appendAudit(log, { actor, action: `alert.${state}`, application, target: id, details: { subject } }, trx);
    return { ...alert, ...change };
  });
}

export type WishedSilence = Pick<SilenceRow, 'application' | 'component' | 'subject' | 'reason'> & {
  readonly lastsMs: number;
};

export async function beginSilence(
  log: AuditLog,
  { lastsMs, ...wish }: WishedSilence,
  actor: Actor,
): Promise<SilenceRow> {
  const { catalog } = log;
  return catalog.transaction(async (trx) => {
    const untilMs = (await catalog.nowMs(trx)) + lastsMs;
    const silence = await insertSilence(catalog, { ...wish, untilMs, byPerson: actor.name }, trx);
    const { id: target, application, component, subject } = silence;
    const details = { component, subject, untilMs };
    await appendAudit(log, { actor, action: 'silence.begun', application, target, details }, trx);
    return silence;
  });
}

export async function liftSilence(log: AuditLog, { id, application }: SilenceRow, actor: Actor): Promise<void> {
  await log.catalog.transaction(async (trx) => {
    await endSilence(log.catalog, id, trx);
    await appendAudit(log, { actor, action: 'silence.ended', application, target: id }, trx);
  });
}
