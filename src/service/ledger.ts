// The ledger: how each component stands against what was promised, judged anew whenever the repositories were looked at.
import { z } from 'zod';
import { formatDuration } from '../base/duration.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { runHistory } from '../catalog/run-history.ts';
import { allSchedules, type KnownSchedule } from '../catalog/schedules.ts';
import { saveSightings, type Sightings } from '../catalog/sightings.ts';
import {
  neverRestored,
  saveStandings,
  trimSamples,
  type SeenStanding,
  type StandingRow,
} from '../catalog/standings.ts';
import { labelsIn, liveWorkers } from '../catalog/workers.ts';
import type { Application } from '../model/application.ts';
import type { Component } from '../model/component.ts';
import { jobsOf, jobsOnDemand, type Job } from '../model/job.ts';
import { KeptTimes } from '../model/kept-times.ts';
import type { JobKind } from '../model/schedule.ts';
import type { Seen } from './inventory.ts';
import { judge, type Sighting } from '../model/standing.ts';
import { scheduleIdOf } from './scheduler.ts';

/** Ages by a journal come in fractions, which SQLite keeps and PostgreSQL refuses for its whole numbers. */
const wholeMs = z.number().transform((ms) => Math.round(ms));

/** What of the answer of `status` is used here. */
const inventorySchema = z.object({
  components: z.array(
    z.object({
      name: z.string(),
      ageMs: wholeMs.optional(),
      rpo: z.enum(['met', 'breached', 'unknown', 'none']),
      rto: z.enum(['met', 'at_risk', 'breached', 'unknown', 'none']).default('none'),
      restore: z
        .object({
          lastMs: wholeMs,
          atMs: wholeMs,
          forecast: z.object({ lowMs: wholeMs, highMs: wholeMs }).optional(),
        })
        .optional(),
      anomalies: z.array(z.object({ facts: z.array(z.object({ message: z.string() })) })).default([]),
      proof: z
        .object({ outcome: z.enum(['passed', 'failed', 'inconclusive']), time: z.string(), message: z.string() })
        .optional(),
    }),
  ),
  repositories: z.array(
    z.object({
      name: z.string(),
      snapshots: z.number().optional(),
      storedBytes: z.number().optional(),
      problem: z.string().optional(),
    }),
  ),
});

const nothingSeen: z.output<typeof inventorySchema> = { components: [], repositories: [] };

/** Of a proof on a schedule: twice as old as it should be is too old. */
const proofAgeGaps = 2;

/** Returns the components whose standing is another than before. */
export async function recordStandings(catalog: Catalog, application: Application, seen: Seen): Promise<StandingRow[]> {
  const inventory = seen.problem === undefined ? inventorySchema.parse(seen.document) : nothingSeen;
  const jobs = jobsOf(application);
  const nowMs = await catalog.nowMs();
  const carried = (await liveWorkers(catalog)).map(({ labels }) => labelsIn(labels));
  const pauses = (await allSchedules(catalog)).filter(({ pausedAtMs }) => pausedAtMs !== null);
  const damages = await damagesOf(catalog, application.name, jobsOnDemand(application));
  const rows: SeenStanding[] = [];
  for (const component of application.components) {
    const sighting = await sightingOf(catalog, {
      application,
      component,
      jobs,
      inventory,
      seen,
      carried,
      pauses,
      damages,
    });
    const { standing, reason, hint = null } = judge(sighting, nowMs);
    const { ageMs = null, rpoMs = null } = sighting;
    rows.push({
      application: application.name,
      component: component.name,
      standing,
      reason,
      hint,
      ageMs,
      rpoMs,
      ...restoreColumns(component, inventory),
      seenAtMs: seen.atMs,
    });
  }
  if (seen.problem === undefined) await saveSightings(catalog, application.name, sightingsOf(inventory, seen.atMs));
  await trimSamples(catalog);
  return saveStandings(catalog, application.name, rows);
}

function restoreColumns({ name, objectives }: Component, { components }: z.output<typeof inventorySchema>) {
  const restore = components.find((one) => one.name === name)?.restore;
  const rtoMs = objectives?.rtoMs ?? null;
  if (restore === undefined) return { ...neverRestored, rtoMs };
  const { lastMs, atMs: restoreAtMs, forecast } = restore;
  const [restoreLowMs, restoreHighMs] = [forecast?.lowMs ?? null, forecast?.highMs ?? null];
  return { rtoMs, restoreMs: lastMs, restoreAtMs, restoreLowMs, restoreHighMs };
}

function sightingsOf({ components, repositories }: z.output<typeof inventorySchema>, seenAtMs: number): Sightings {
  return {
    repositories: repositories.map(({ name, snapshots = null, storedBytes = null, problem = null }) => ({
      repository: name,
      snapshots,
      storedBytes,
      problem,
      seenAtMs,
    })),
    proofs: components.flatMap(({ name, proof }) =>
      proof === undefined
        ? []
        : [{ component: name, outcome: proof.outcome, message: proof.message, atMs: Date.parse(proof.time) }],
    ),
  };
}

interface Subject {
  readonly application: Application;
  readonly component: Component;
  readonly jobs: readonly Job[];
  readonly inventory: z.output<typeof inventorySchema>;
  readonly seen: Seen;
  readonly pauses: readonly KnownSchedule[];
  readonly damages: readonly Damage[];
  /** The labels of each worker. */
  readonly carried: readonly (readonly string[])[];
}

async function sightingOf(catalog: Catalog, subject: Subject): Promise<Sighting> {
  const { application, component, jobs, inventory, seen, carried, pauses, damages } = subject;
  const { atMs } = seen;
  const { name, objectives, policy, labels } = component;
  const found = inventory.components.find((one) => one.name === name);
  const copiedTo = policy.copies.map(({ to }) => to);
  const targets = new Set([...policy.targets.map(({ repository }) => repository), ...copiedTo]);
  const proof = found?.proof;
  const away = new Set(inventory.repositories.flatMap(({ name: at, problem }) => (problem === undefined ? [] : [at])));
  return {
    component: name,
    atMs,
    ageMs: found?.ageMs,
    rpoMs: objectives?.rpoMs,
    mayBeNewer: found?.rpo === 'unknown',
    proof: proof && { outcome: proof.outcome, timeMs: Date.parse(proof.time), message: proof.message },
    problems: [
      ...(seen.problem === undefined ? [] : [seen.problem]),
      ...inventory.repositories.flatMap(({ name: repository, problem }) =>
        problem !== undefined && targets.has(repository) ? [`${repository}: ${problem}`] : [],
      ),
    ],
    isAway: targets.size > 0 && [...targets].every((repository) => away.has(repository)),
    isScheduled: jobs.some((job) => job.kind === 'backup' && job.component === name),
    missingLabels: carried.some((own) => labels.every((label) => own.includes(label))) ? [] : labels,
    anomaly: found?.anomalies[0]?.facts.map(({ message }) => message).join('; '),
    paused: pauseOf(pauses, scheduleIdOf(application.name, `backup/${name}`)),
    failedBackup: await failureOf(catalog, application.name, { component: name, kind: 'backup' }),
    slowRestore: slowRestoreOf(found, objectives?.rtoMs),
    damage: damages.find(({ repository }) => targets.has(repository))?.message,
    failedCopy:
      copiedTo.length === 0 ? undefined : await failureOf(catalog, application.name, { component: name, kind: 'copy' }),
    proofMaxAgeMs: proofMaxAgeOf(jobs, name, atMs),
  };
}

const errorSchema = z.object({ message: z.string() });
const failedSchema = errorSchema.extend({ code: z.string() });

/** Why it may take longer to bring it back than was promised, if it may. */
function slowRestoreOf(
  found: z.output<typeof inventorySchema>['components'][number] | undefined,
  rtoMs: number | undefined,
): string | undefined {
  const { rto, restore } = found ?? {};
  if (restore === undefined || rtoMs === undefined || (rto !== 'breached' && rto !== 'at_risk')) return undefined;
  const { lastMs, forecast } = restore;
  const last = `its last restore took ${formatDuration(toSeconds(lastMs))}`;
  const longest =
    forecast === undefined ? '' : `, up to ${formatDuration(toSeconds(forecast.highMs))} is to be expected`;
  return `${last}${longest}, and ${formatDuration(rtoMs)} was promised`;
}

const toSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000)) * 1000;

interface Damage {
  readonly repository: string;
  readonly message: string;
}

/** So many verifications are looked back at. */
const verificationsMax = 1000;

/** Of repositories whose last verification, of whatever kind, found damage. */
async function damagesOf(catalog: Catalog, application: string, jobs: readonly Job[]): Promise<Damage[]> {
  const verifying = new Map(jobs.flatMap((job) => (job.kind === 'verification' ? [[job.id, job]] : [])));
  if (verifying.size === 0) return [];
  const kind = 'verification';
  const states = ['succeeded', 'failed'] as const;
  const runs = await runHistory(catalog, { applications: [application], kind, states, limit: verificationsMax });
  const verdicts = new Map<string, number>();
  return runs.flatMap(({ input, state, error }): Damage[] => {
    const { job: id = '' } = z.object({ job: z.string().optional() }).parse(JSON.parse(input));
    const job = verifying.get(id);
    const found = failedSchema.safeParse(JSON.parse(error ?? 'null')).data;
    const isDamaged = found?.code === 'VERIFICATION_FAILED';
    // One that could not be carried through says nothing.
    if (job === undefined || (state === 'failed' && !isDamaged)) return [];
    const number = (verdicts.get(id) ?? 0) + 1;
    verdicts.set(id, number);
    // Of a verification in parts, each looks at another one: only a whole round of them clears what one has found.
    if (!isDamaged || number > Math.round(1 / (job.readDataShare ?? 1))) return [];
    const { repository } = job;
    return [{ repository, message: `${repository}: ${found.message}` }];
  });
}

function pauseOf(pauses: readonly KnownSchedule[], id: string): Sighting['paused'] {
  const found = pauses.find((one) => one.id === id);
  return found && { untilMs: found.pausedUntilMs ?? undefined };
}

/** Why the last run of this kind failed, if it did. */
async function failureOf(
  catalog: Catalog,
  application: string,
  of: { readonly component: string; readonly kind: JobKind },
): Promise<string | undefined> {
  const states = ['succeeded', 'failed'] as const;
  const [last] = await runHistory(catalog, { applications: [application], ...of, states, limit: 1 });
  if (last?.state !== 'failed') return undefined;
  return errorSchema.safeParse(JSON.parse(last.error ?? '{}')).data?.message ?? 'it did not say why';
}

const nextProofs = new KeptTimes(2);

function proofMaxAgeOf(jobs: readonly Job[], component: string, atMs: number): number | undefined {
  const job = jobs.find((one) => one.kind === 'proof' && one.component === component);
  if (job === undefined) return undefined;
  const [first, second] = nextProofs.after(job, atMs);
  return first === undefined || second === undefined ? undefined : (second - first) * proofAgeGaps;
}
