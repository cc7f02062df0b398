// Jobs as durable runs: each command line is a step, so that after a crash what was done is not done again; and what waits for a job
// follows when it ended well.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AppError, errorKinds, type ErrorCode } from '../base/errors.ts';
import { jobKinds } from '../model/schedule.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { findRunLike, type NewRun } from '../catalog/runs.ts';
import type { Application } from '../model/application.ts';
import { awaitedJobs, jobsOf, jobsOnDemand, selfBackupJobsOf, type Job } from '../model/job.ts';
import type { RunContext } from '../workflow/run-context.ts';
import { defineRun, type RunDefinition } from '../workflow/worker.ts';
import { concurrencyKeyOf, stepsOfJob, type JobWishes } from './job-commands.ts';
import type { Launcher } from './job-process.ts';
import { hasFailed, runCommandStep, type StepOutcome } from './command-step.ts';
import { listInDigest } from './outcome-digest.ts';
import { configOption, type Tenant } from './tenant.ts';

export interface JobRunsParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenantOf: (application: string) => Tenant | undefined;
  readonly tenants: () => readonly Tenant[];
  /** Stores a run, and tells whoever listens. */
  readonly enqueue: (run: NewRun) => Promise<string>;
}

export const jobInputSchema = z.object({
  application: z.string(),
  /** Of the configuration as it was then. */
  job: z.string(),
  round: z.number().default(0),
  description: z.string().optional(),
  tags: z.array(z.string()).readonly().optional(),
  point: z.object({ snapshot: z.string(), repository: z.string() }).optional(),
});
type JobInput = z.output<typeof jobInputSchema>;

export const originSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('schedule'), schedule: z.string(), plannedAtMs: z.number(), missed: z.number() }),
  z.object({ kind: z.literal('request'), by: z.string() }),
  z.object({ kind: z.literal('event'), event: z.string(), by: z.string() }),
  z.object({ kind: z.literal('run'), id: z.string() }),
]);
export type RunOrigin = z.output<typeof originSchema>;

/** Before all that is made of them. */
const backupPriority = 10;
/** Tried again after reasons that may pass: a store that is away, a server that restarts. */
const attemptsMax = 4;

export function runOfJob(
  { application, job, ...wishes }: { readonly application: string; readonly job: Job } & JobWishes,
  origin: RunOrigin,
): NewRun {
  return {
    kind: job.kind,
    application,
    component: 'component' in job ? job.component : undefined,
    input: { application, job: job.id, ...wishes, ...tagsBy(origin, job) } satisfies JobInput,
    labels: job.labels,
    concurrencyKey: concurrencyKeyOf(application, job),
    priority: job.kind === 'backup' ? backupPriority : 0,
    attemptsMax,
    origin,
  };
}

/** Backups that somebody asked for are a class of their own: rules of retention may keep them longer. */
function tagsBy(origin: RunOrigin, { kind }: Job): { readonly tags?: string[] } {
  if (kind !== 'backup') return {};
  if (origin.kind === 'request') return { tags: ['manual'] };
  return origin.kind === 'event' ? { tags: ['manual', `before-${origin.event}`] } : {};
}

/** By kind. */
export function jobDefinitions(parts: JobRunsParts): Record<string, RunDefinition> {
  const definition = defineRun({ input: jobInputSchema, execute: (run, input) => carryOut(run, input, parts) });
  return Object.fromEntries(jobKinds.map((kind) => [kind, definition]));
}

const jobNamed = (application: Application, wanted: string): Job | undefined =>
  [...jobsOnDemand(application), ...selfBackupJobsOf(application)].find(({ id }) => id === wanted);

async function carryOut(run: RunContext, input: JobInput, parts: JobRunsParts): Promise<object> {
  const { tenant, job } = await findJob(run, input, parts);
  const outcomes: StepOutcome[] = [];
  const configurations = parts.tenants().flatMap(({ configurationPath }) => configurationPath ?? []);
  for (const { name, args } of stepsOfJob(job, { ...input, configurations })) {
    outcomes.push(await runCommandStep(run, name, { ...parts.launcher, args: [...args, ...configOption(tenant)] }));
  }
  const worst = outcomes.find(hasFailed);
  if (worst !== undefined) throw failureBy(worst, job);
  await run.step('what follows', z.array(z.string()), () => startFollowers(run, { tenant, job, parts }));
  return { outcomes };
}

/** Whoever planned it may have read a configuration of which this worker hears in a moment. */
const hearingMaxMs = 15_000;
const hearEveryMs = 500;

async function findJob(
  { signal }: RunContext,
  input: JobInput,
  { tenantOf, catalog }: JobRunsParts,
): Promise<{ readonly tenant: Tenant; readonly job: Job }> {
  // Whoever has a catalog in a file planned it itself.
  const untilMs = performance.now() + (catalog.kind === 'postgres' ? hearingMaxMs : 0);
  for (;;) {
    const tenant = tenantOf(input.application);
    const job = tenant === undefined ? undefined : jobNamed(tenant.application, input.job);
    if (tenant !== undefined && job !== undefined) return { tenant, job };
    if (performance.now() >= untilMs) throw jobGone(input);
    await sleep(hearEveryMs, undefined, { signal });
  }
}

function failureBy({ exitCode, digest }: StepOutcome, { id, kind }: Job): AppError {
  const found = codesByExit.get(exitCode) ?? 'JOB_FAILED';
  const [failed] =
    z.array(z.object({ error: z.object({ message: z.string() }) })).safeParse(digest['backups']).data ?? [];
  const unproven = provenSchema.safeParse(digest['proofs']).data?.find(({ outcome }) => outcome !== 'passed');
  // Where it was restored the same again would say the same; where that did not come about another try may.
  const isRestored = kind === 'proof' && found === 'INCONCLUSIVE' && (unproven?.restoredBytes ?? 0) > 0;
  const code = isRestored ? 'PROOF_INCONCLUSIVE' : found;
  const verified = verifiedSchema.safeParse(digest['repositories']).data ?? [];
  const damage = verified.flatMap(({ findings }) => findings).find(({ severity }) => severity === 'error');
  const why =
    failed?.error.message ??
    unproven?.message ??
    (damage === undefined ? 'the output of the run says what it found' : `${damage.where}: ${damage.message}`);
  return new AppError(code, `${id} ended with ${exitCode}: ${why}`, {
    hint: "Run the same by hand to see it in full: 'lifeboat runs show' has its command lines.",
  });
}

const provenSchema = z.array(z.object({ outcome: z.string(), message: z.string(), restoredBytes: z.number() }));
const verifiedSchema = z.array(
  z.object({
    findings: listInDigest(z.object({ where: z.string(), message: z.string(), severity: z.string() })),
  }),
);

const codesByExit = new Map<number, ErrorCode>([
  [errorKinds.VERIFICATION_FAILED.exitCode, 'VERIFICATION_FAILED'],
  [errorKinds.INCONCLUSIVE.exitCode, 'INCONCLUSIVE'],
  [errorKinds.REPOSITORY_LOCKED.exitCode, 'REPOSITORY_LOCKED'],
]);

function jobGone({ application, job }: JobInput): AppError {
  return new AppError('NOT_FOUND', `${application} has no job ${job} any more`, {
    hint: "The configuration has changed since it was begun; 'lifeboat schedule' shows what there is now.",
  });
}

/** Returns the ids of the runs. One that a crash kept from being noted here is found again by what it came from. */
async function startFollowers(
  run: RunContext,
  { tenant, job, parts }: { readonly tenant: Tenant; readonly job: Job; readonly parts: JobRunsParts },
): Promise<string[]> {
  const { application } = tenant;
  const jobs = jobsOf(application);
  const ids: string[] = [];
  for (const follower of jobs.filter((other) => awaitedJobs(other, jobs).some(({ id }) => id === job.id))) {
    const next = runOfJob({ application: application.name, job: follower, round: 0 }, { kind: 'run', id: run.id });
    ids.push((await findRunLike(parts.catalog, next)) ?? (await parts.enqueue(next)));
  }
  return ids;
}
