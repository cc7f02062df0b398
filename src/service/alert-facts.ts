// What is known of an application when its alerts are judged: gathered from the catalog.
import { z } from 'zod';
import { lastDeliveries } from '../catalog/alert-deliveries.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { leasesWith } from '../catalog/leases.ts';
import { probeStatesOf } from '../catalog/probe-states.ts';
import { runHistory } from '../catalog/run-history.ts';
import type { RunRow } from '../catalog/runs.ts';
import { standingsOf } from '../catalog/standings.ts';
import { formatAge } from '../base/duration.ts';
import { allJobsOf, type Job } from '../model/job.ts';
import type { JobKind } from '../model/schedule.ts';
import { standingNow } from '../model/standing.ts';
import type { DeadChannel, EndedJob, Known, KnownProbe, KnownReceiver } from '../monitoring/alerts/conditions.ts';
import { jobInputSchema } from './job-runs.ts';
import { hasReceiver, leaseNameOf } from './supervisor.ts';
import type { Tenant } from './tenant.ts';

/** Of a channel: what it did longer ago says nothing of now. */
const deliveryMaxAgeMs = 86_400_000;
/** A receiver that lives tells something every few seconds. */
const receiverSilenceMaxMs = 2 * 60_000;
const runsMax = 200;

export async function knownOf(catalog: Catalog, tenant: Tenant): Promise<Known> {
  const { application, problem } = tenant;
  const nowMs = await catalog.nowMs();
  const rows = await standingsOf(catalog, [application.name]);
  return {
    nowMs,
    standings: rows.map((row) => ({ ...row, ...standingNow(row, nowMs) })),
    jobs: await endedJobs(catalog, tenant),
    probes: await knownProbes(catalog, tenant, nowMs),
    receivers: await knownReceivers(catalog, tenant, nowMs),
    deadChannels: await deadChannels(catalog, tenant, nowMs),
    problem: problem && { message: problem.message, hint: problem.hint },
  };
}

const judgedKinds = ['copy', 'retention', 'verification', 'self-backup'] as const satisfies readonly JobKind[];
const errorSchema = z.object({ message: z.string(), hint: z.string().optional() });

/** The last run of each job that is configured. */
async function endedJobs(catalog: Catalog, { application }: Tenant): Promise<EndedJob[]> {
  const jobs = allJobsOf(application);
  const ended: EndedJob[] = [];
  for (const kind of judgedKinds) {
    const wanted = new Map(jobs.flatMap((job) => (job.kind === kind ? [[job.id, job]] : [])));
    if (wanted.size === 0) continue;
    const filter = { applications: [application.name], kind, states: ['succeeded', 'failed'], limit: runsMax } as const;
    for (const run of await runHistory(catalog, filter)) {
      const job = wanted.get(jobInputSchema.safeParse(JSON.parse(run.input)).data?.job ?? '');
      if (job !== undefined && wanted.delete(job.id)) ended.push(endedJob(run, job));
    }
  }
  return ended;
}

function endedJob(run: RunRow, job: Job): EndedJob {
  const error = errorSchema.safeParse(JSON.parse(run.error ?? 'null')).data;
  return {
    job: job.id,
    kind: job.kind,
    component: run.component ?? undefined,
    repository: job.kind === 'verification' ? job.repository : undefined,
    hasFailed: run.state === 'failed',
    message: error?.message ?? 'it did not say why',
    hint: error?.hint,
    run: run.id,
  };
}

/** Looks that a probe may miss before nothing is known of it. */
const missedLooksMax = 5;
const probeSilenceMinMs = 60_000;

async function knownProbes(catalog: Catalog, { application, probes }: Tenant, nowMs: number): Promise<KnownProbe[]> {
  const states = await probeStatesOf(catalog, [application.name]);
  return states.flatMap((state): KnownProbe[] => {
    const settings = probes[state.probe];
    if (settings === undefined) return [];
    const silentMs = nowMs - state.seenAtMs;
    const known = { ...state, isFlapping: state.isFlapping === 1 };
    if (silentMs <= Math.max(probeSilenceMinMs, settings.everyMs * missedLooksMax)) return [known];
    const message = `nobody has looked for ${formatAge(silentMs)}`;
    return [{ ...known, outcome: 'unknown', message, hint: "See what 'lifeboat server' says." }];
  });
}

async function knownReceivers(catalog: Catalog, { application }: Tenant, nowMs: number): Promise<KnownReceiver[]> {
  const components = application.components.filter(hasReceiver);
  if (components.length === 0) return [];
  const leases = new Map((await leasesWith(catalog, leaseNameOf(application.name, ''))).map((row) => [row.name, row]));
  return components.map(({ name }) => {
    const lease = leases.get(leaseNameOf(application.name, name));
    const toldAtMs = lease?.toldAtMs ?? undefined;
    const isHeard = toldAtMs !== undefined && nowMs - toldAtMs <= receiverSilenceMaxMs;
    return { component: name, silentSinceMs: isHeard ? undefined : (toldAtMs ?? nowMs) };
  });
}

const channelKey = 'alerts.channels.';

async function deadChannels(catalog: Catalog, tenant: Tenant, nowMs: number): Promise<DeadChannel[]> {
  const last = await lastDeliveries(catalog.db, tenant.application.name, nowMs - deliveryMaxAgeMs);
  const refused = last.flatMap(({ channel, outcome, reason, hint }): DeadChannel[] =>
    outcome === 'refused' && tenant.alerts.channels[channel] !== undefined
      ? [{ channel, reason: reason ?? '', hint: hint ?? '' }]
      : [],
  );
  const unset = [...tenant.unset].flatMap(([key, { message, hint }]): DeadChannel[] =>
    key.startsWith(channelKey) ? [{ channel: key.slice(channelKey.length), reason: message, hint }] : [],
  );
  return [...refused, ...unset];
}
