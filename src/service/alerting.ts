// Looks again and again at what is wrong, decides who is told of it, and sends what is to be sent. Of several servers one does so at a time.
import type { Clock } from '../base/clock.ts';
import { asError, messageOf } from '../base/errors.ts';
import { deliveriesOf, insertDelivery, updateDelivery } from '../catalog/alert-deliveries.ts';
import { deleteAlert, openAlerts, saveAlert, trimAlerts } from '../catalog/alerts.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { silencesAt, type SilenceRow } from '../catalog/silences.ts';
import { opensAt } from '../model/time-window.ts';
import type { Condition } from '../monitoring/alerts/condition.ts';
import { conditionsOf } from '../monitoring/alerts/conditions.ts';
import { sendWaiting } from '../monitoring/alerts/outbox.ts';
import { planAlerts, type AlertPlan } from '../monitoring/alerts/plan.ts';
import { httpRequest } from '../monitoring/http-request.ts';
import { Repeating } from '../workflow/repeating.ts';
import { knownOf } from './alert-facts.ts';
import { tellReports } from './alert-reports.ts';
import { SoleDuty } from './sole-duty.ts';
import type { Tenant } from './tenant.ts';

export interface AlertingParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tenants: () => readonly Tenant[];
  /** Whoever does it: a worker's id. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly newId: () => string;
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 2000;
/** Of one look: what is not sent by then is sent with the next. */
const sendMaxMs = 30_000;
const trimEveryMs = 86_400_000;
const heartbeatMaxMs = 10_000;
const heartbeatBodyMaxBytes = 1024;

export function startAlerting(parts: AlertingParts): AsyncDisposable {
  const alerting = new Alerting(parts);
  const looking = new Repeating({ everyMs: lookEveryMs, work: () => alerting.look(), onProblem: parts.onProblem });
  return {
    async [Symbol.asyncDispose]() {
      alerting.stop();
      await looking[Symbol.asyncDispose]();
      await alerting[Symbol.asyncDispose]();
    },
  };
}

export class Alerting implements AsyncDisposable {
  readonly #parts: AlertingParts;
  readonly #abort = new AbortController();
  readonly #duty: SoleDuty;
  #trimmedMs = -Infinity;
  /** When each application's heartbeat was sent, on the clock that never jumps. */
  readonly #beatMs = new Map<string, number>();

  constructor(parts: AlertingParts) {
    this.#parts = parts;
    this.#duty = new SoleDuty({ ...parts, name: 'alerts' });
  }

  /** What is being sent is given up, and sent later. */
  stop(): void {
    this.#abort.abort(new Error('the service ends'));
  }

  /** When it does not look any more. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#duty[Symbol.asyncDispose]();
  }

  async look(): Promise<void> {
    const { catalog, tenants, onProblem } = this.#parts;
    if (!(await this.#duty.isOurs())) return;
    if (performance.now() - this.#trimmedMs > trimEveryMs) {
      await trimAlerts(catalog);
      this.#trimmedMs = performance.now();
    }
    await Promise.all(
      tenants().map(async (tenant) => {
        try {
          await this.#judge(tenant);
          await tellReports(catalog, tenant);
          await this.#send(tenant);
          await this.#beat(tenant);
        } catch (error) {
          if (!this.#abort.signal.aborted) onProblem(asError(error)); // It is no reason not to look at the others.
        }
      }),
    );
  }

  async #judge(tenant: Tenant): Promise<void> {
    const { catalog, newId, onNote } = this.#parts;
    const { name } = tenant.application;
    const known = await knownOf(catalog, tenant);
    const plan = await catalog.transaction(async (trx) => {
      const alerts = await openAlerts(catalog, trx, name);
      const { nowMs } = known;
      const silences = await silencesAt(trx, { nowMs, application: name });
      const made = planAlerts({
        application: name,
        nowMs,
        conditions: conditionsOf(known),
        alerts,
        deliveries: await deliveriesOf(
          trx,
          alerts.map(({ id }) => id),
        ),
        settings: tenant.alerts,
        isQuiet: (condition) => isQuiet(condition, { tenant, silences, nowMs }),
        newId,
      });
      await save(catalog, trx, made);
      return made;
    });
    for (const { state, severity, component, title } of plan.changed) {
      onNote(`${name}: alert ${state}: ${component === null ? '' : `${component}: `}${title} (${severity})`);
    }
  }

  async #send({ application, alerts: settings }: Tenant): Promise<void> {
    const { catalog, clock } = this.#parts;
    const { name, environment } = application;
    const time = AbortSignal.timeout(sendMaxMs);
    const signal = AbortSignal.any([this.#abort.signal, time]);
    try {
      await sendWaiting({ catalog, clock, application: name, environment, settings }, signal);
    } catch (error) {
      if (!time.aborted) throw error;
    }
  }

  /** After a look that went well: who does not hear of it knows that nobody looks. */
  async #beat({ application: { name }, alerts: { heartbeat } }: Tenant): Promise<void> {
    if (heartbeat === undefined) return;
    const nowMs = performance.now();
    if (nowMs - (this.#beatMs.get(name) ?? -Infinity) < heartbeat.everyMs) return;
    this.#beatMs.set(name, nowMs);
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(heartbeatMaxMs)]);
    try {
      const request = { url: heartbeat.url, method: 'GET', bodyMaxBytes: heartbeatBodyMaxBytes };
      const { status } = await httpRequest(request, signal);
      if (status >= 400) this.#parts.onNote(`${name}: the heartbeat was answered with status ${status}`);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#parts.onNote(`${name}: the heartbeat could not be sent: ${messageOf(error)}`);
    }
  }
}

async function save(catalog: Catalog, trx: Catalog['db'], { saved, removed, told, dropped }: AlertPlan): Promise<void> {
  for (const alert of saved) await saveAlert(trx, alert);
  for (const id of removed) await deleteAlert(trx, id);
  for (const delivery of told) await insertDelivery(catalog, delivery, trx);
  const endedAtMs = await catalog.nowMs(trx);
  for (const id of dropped) await updateDelivery(trx, id, { outcome: 'dropped', endedAtMs });
}

interface Quiet {
  readonly tenant: Tenant;
  readonly silences: readonly SilenceRow[];
  readonly nowMs: number;
}

/** Somebody asked for silence, or works on the component. */
function isQuiet({ subject, component }: Condition, { tenant, silences, nowMs }: Quiet): boolean {
  const isSilenced = silences.some(
    (silence) =>
      (silence.component === null || silence.component === component) &&
      (silence.subject === null || silence.subject === subject),
  );
  if (isSilenced) return true;
  const maintenance = tenant.application.components.find(({ name }) => name === component)?.maintenance ?? [];
  return opensAt(maintenance, nowMs) !== nowMs;
}
