// Tells those who want to hear of it that jobs ended well: each run once, whoever else looks at the same moment.
import { formatAge } from '../base/duration.ts';
import { insertDelivery } from '../catalog/alert-deliveries.ts';
import { insertAlert, type AlertRow } from '../catalog/alerts.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { runHistory } from '../catalog/run-history.ts';
import type { RunRow } from '../catalog/runs.ts';
import type { ReportSettings } from '../model/alert-routing.ts';
import type { AlertFact } from '../model/alert-message.ts';
import type { AlertSettings } from '../model/alert-settings.ts';
import { jobKinds, type JobKind } from '../model/schedule.ts';
import { receiversOf, type Receiver } from '../monitoring/alerts/routing.ts';
import { jobInputSchema } from './job-runs.ts';
import type { Tenant } from './tenant.ts';

/** What ended earlier is no news. */
const newsMaxAgeMs = 15 * 60_000;
const runMaxAgeMs = 86_400_000;
const runsMax = 200;
const incidentTypes: ReadonlySet<string> = new Set(['pagerduty', 'opsgenie']);

const titles: Readonly<Record<JobKind, string>> = {
  backup: 'Backup succeeded',
  copy: 'Copy succeeded',
  retention: 'Retention succeeded',
  verification: 'Verification succeeded',
  proof: 'Proof passed',
  'self-backup': 'The server was backed up',
};

export async function tellReports(catalog: Catalog, { application, alerts }: Tenant): Promise<void> {
  if (alerts.reports.length === 0) return;
  const nowMs = await catalog.nowMs();
  const filter = { applications: [application.name], states: ['succeeded'], limit: runsMax } as const;
  const runs = await runHistory(catalog, { ...filter, sinceMs: nowMs - runMaxAgeMs });
  for (const run of runs) {
    const kind = jobKinds.find((one) => one === run.kind);
    if (kind === undefined || run.endedAtMs === null || nowMs - run.endedAtMs > newsMaxAgeMs) continue;
    const ways = waysOf(alerts, { kind, component: run.component });
    if (ways.length === 0) continue;
    await catalog.transaction(async (trx) => {
      if (!(await insertAlert(trx, reportOf(run, { kind, nowMs })))) return;
      for (const way of ways) {
        const dueAtMs = nowMs + alerts.groupMs;
        const delivery = { alertId: run.id, application: application.name, state: 'firing', ...way, dueAtMs } as const;
        await insertDelivery(catalog, delivery, trx);
      }
    });
  }
}

function waysOf(
  settings: AlertSettings,
  { kind, component }: { readonly kind: JobKind; readonly component: string | null },
): Receiver[] {
  const fits = ({ jobs, components }: ReportSettings): boolean =>
    (jobs?.includes(kind) ?? true) &&
    (components === undefined || (component !== null && components.includes(component)));
  const calm = Object.entries(settings.channels).filter(([, { type }]) => !incidentTypes.has(type));
  const steps = settings.reports
    .filter(fits)
    .map(({ channels, contacts }) => ({ channels, contacts, during: [], afterMs: 0 }));
  return receiversOf(steps, { ...settings, channels: Object.fromEntries(calm) });
}

function reportOf(run: RunRow, { kind, nowMs }: { readonly kind: JobKind; readonly nowMs: number }): AlertRow {
  const { id, application, component, input, startedAtMs, endedAtMs } = run;
  const endMs = endedAtMs ?? nowMs;
  const job = jobInputSchema.safeParse(JSON.parse(input)).data?.job ?? kind;
  const facts: AlertFact[] = [
    { name: 'Job', value: job },
    { name: 'Took', value: formatAge(endMs - (startedAtMs ?? endMs)) },
  ];
  return {
    id,
    application: application ?? '',
    subject: `report/${id}`,
    openKey: null,
    kind: 'report',
    component,
    severity: 'info',
    title: titles[kind],
    facts: JSON.stringify(facts),
    hint: null,
    command: `lifeboat runs show ${id.slice(-8)}`,
    state: 'resolved',
    sinceMs: startedAtMs ?? endMs,
    firedAtMs: endMs,
    stepsFromMs: null,
    stepsTaken: 1,
    toldAtMs: nowMs,
    acknowledgedAtMs: null,
    resolvedAtMs: endMs,
    byPerson: null,
  };
}
