// What people do about alerts: take care of one, call it done with, ask for silence. All of it is in the audit log.
import { appendAudit, type Actor, type AuditLog } from '../access/audit-log.ts';
import { AppError } from '../base/errors.ts';
import { deliveriesOf, insertDelivery, updateDelivery } from '../catalog/alert-deliveries.ts';
import { alertsById, updateAlert, type AlertRow } from '../catalog/alerts.ts';
import { endSilence, insertSilence, silencesAt, type SilenceRow } from '../catalog/silences.ts';
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

/** Returns its id. */
export async function beginSilence(log: AuditLog, { lastsMs, ...wish }: WishedSilence, actor: Actor): Promise<string> {
  const untilMs = (await log.catalog.nowMs()) + lastsMs;
  const id = await insertSilence(log.catalog, { ...wish, untilMs, byPerson: actor.name });
  const { application, component, subject } = wish;
  const details = { component, subject, untilMs };
  await appendAudit(log, { actor, action: 'silence.begun', application, target: id, details });
  return id;
}

/** By its id or the end of it. Rejects with `NOT_FOUND` or `AMBIGUOUS`. */
export async function liftSilence(log: AuditLog, ending: string, actor: Actor): Promise<SilenceRow> {
  const { catalog } = log;
  const open = await silencesAt(catalog.db, { nowMs: await catalog.nowMs() });
  const fitting = open.filter(({ id }) => id.endsWith(ending));
  const [found] = fitting;
  if (found === undefined || fitting.length > 1) {
    throw new AppError(found === undefined ? 'NOT_FOUND' : 'AMBIGUOUS', `'${ending}' fits ${fitting.length} silences`, {
      hint: "Give an id as 'lifeboat alerts silences' shows them.",
    });
  }
  await endSilence(catalog, found.id);
  await appendAudit(log, { actor, action: 'silence.ended', application: found.application, target: found.id });
  return found;
}
