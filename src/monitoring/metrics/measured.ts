// What the catalog tells in numbers, gathered at one moment for whoever may see these applications.
import { messageCounts, openAlertCounts, type AlertCount, type MessageCount } from '../../catalog/alert-counts.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { endedRunCounts, openRunCounts, type RunCount } from '../../catalog/run-counts.ts';
import { allSchedules, type KnownSchedule } from '../../catalog/schedules.ts';
import { seenProofs, seenRepositories, type SeenProofRow, type SeenRepositoryRow } from '../../catalog/sightings.ts';
import { standingsOf, type StandingRow } from '../../catalog/standings.ts';
import { liveWorkers, type WorkerRow } from '../../catalog/workers.ts';
import { standingNow, type Judgement } from '../../model/standing.ts';
import { probeAvailabilities, type ProbeAvailability } from '../availability.ts';

/** Of runs that have ended: a rate of success needs some, and old ones say nothing of now. */
export const lastRunsMs = 24 * 3_600_000;

/** Most days have no outage, and one says little. */
const outageMetricDays = 30;

export interface Measured {
  readonly nowMs: number;
  readonly standings: readonly (Omit<StandingRow, keyof Judgement> & Judgement)[];
  readonly proofs: readonly SeenProofRow[];
  readonly repositories: readonly SeenRepositoryRow[];
  readonly open: readonly RunCount[];
  /** Of the last day. */
  readonly ended: readonly RunCount[];
  readonly schedules: readonly (KnownSchedule & { readonly application: string; readonly job: string })[];
  readonly probes: readonly ProbeAvailability[];
  readonly alerts: readonly AlertCount[];
  /** Of the last day. */
  readonly messages: readonly MessageCount[];
  /** Absent for those who may not see the server as a whole. */
  readonly workers: readonly WorkerRow[] | undefined;
}

/** Of these applications; of all, and the server itself, if absent. */
export async function measure(catalog: Catalog, applications: readonly string[] | undefined): Promise<Measured> {
  const nowMs = await catalog.nowMs();
  const rows = await standingsOf(catalog, applications);
  return {
    nowMs,
    standings: rows.map((row) => ({ ...row, ...standingNow(row, nowMs) })),
    proofs: await seenProofs(catalog, applications),
    repositories: await seenRepositories(catalog, applications),
    open: await openRunCounts(catalog, applications),
    ended: await endedRunCounts(catalog, applications, nowMs - lastRunsMs),
    schedules: (await allSchedules(catalog))
      .map((row) => ({ ...row, ...namesOf(row.id) }))
      .filter(({ application }) => applications?.includes(application) ?? true),
    // Of longer spans whoever keeps the series makes it.
    probes: await probeAvailabilities(catalog, { applications, days: 1, outageDays: outageMetricDays }),
    alerts: await openAlertCounts(catalog, applications),
    messages: await messageCounts(catalog, applications, nowMs - lastRunsMs),
    workers: applications === undefined ? await liveWorkers(catalog) : undefined,
  };
}

/** `shop/backup/database` */
function namesOf(id: string): { readonly application: string; readonly job: string } {
  const [application = '', ...job] = id.split('/');
  return { application, job: job.join('/') };
}
