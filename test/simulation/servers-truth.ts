// Whether catalog and repositories hold what must be, after servers were killed: each moment of a schedule once, every run at a good end,
// every backup that was told of there and right, everybody told, nothing left behind.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { RunRow } from '../../src/catalog/runs.ts';
import type { StepRow } from '../../src/catalog/steps.ts';
import type { SnapshotList } from '../../src/cli/commands/snapshots.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { awaitedJobs, jobsOf, type Job } from '../../src/model/job.ts';
import { jobInputSchema, originSchema } from '../../src/service/job-runs.ts';
import { runLifeboat, type Ran } from '../support/lifeboat.ts';
import { testPassword } from '../support/repository.ts';
import { checkFirings, type KnownRun, type Wrong } from './served-moments.ts';
import type { World } from './servers-world.ts';
import { configurationOf, counterFile, repositories, type Counter } from './shop-of-files.ts';

export interface ProtectedTruth {
  /** Of each component, below its folder. */
  readonly contents: ReadonlyMap<string, Buffer>;
  readonly counter: Counter;
}

/** Returns what is wrong, in words. */
export async function checkServers(world: World, truth: ProtectedTruth): Promise<string[]> {
  const { catalog } = world;
  const wrong: Wrong = [];
  const runs = (await catalog.db.selectFrom('run').selectAll().execute()).map(described);
  const steps = await catalog.db.selectFrom('step').selectAll().execute();
  const jobs = jobsAsPlanned(world);
  checkRuns(world, runs, wrong);
  checkFollowers(runs, jobs, wrong);
  await checkFirings(world, { runs, jobs }, wrong);
  await checkAlerts(world, wrong);
  await Promise.all([checkSnapshots(world, { runs, steps, truth }, wrong), checkRepositories(world, wrong)]);
  return wrong;
}

function jobsAsPlanned({ wishes, folder }: World): readonly Job[] {
  const environment = { variables: {}, workingFolder: folder, homeFolder: folder };
  const text = configurationOf(wishes, { isQuiet: false });
  return jobsOf(parseConfiguration(text, { path: join(folder, 'lifeboat.yaml'), environment }).application);
}

const described = (row: RunRow): KnownRun => ({
  row,
  job: jobInputSchema.parse(JSON.parse(row.input)).job,
  origin: originSchema.parse(JSON.parse(row.origin)),
});

function checkRuns({ counts, asked }: World, runs: readonly KnownRun[], wrong: Wrong): void {
  for (const { row, job } of runs) {
    counts.runs += 1;
    counts.takenOver += row.epoch > 1 ? 1 : 0;
    counts.triedAgain += row.attempt > 0 ? 1 : 0;
    if (row.state !== 'succeeded' && !isTooEarly(row, runs))
      wrong.push(`${job}, run ${row.id}, ${row.state}: ${row.error}`);
  }
  for (const id of asked) if (!runs.some(({ row }) => row.id === id)) wrong.push(`run ${id}, asked for, is lost`);
}

/** There was nothing yet that could be proven. */
function isTooEarly(row: RunRow, runs: readonly KnownRun[]): boolean {
  const { kind, component, startedAtMs, error } = row;
  const isEarlier = (other: RunRow): boolean => (other.endedAtMs ?? Infinity) < (startedAtMs ?? 0);
  return (
    kind === 'proof' &&
    error?.includes('NOT_FOUND') === true &&
    !runs.some((run) => run.row.kind === 'backup' && run.row.component === component && isEarlier(run.row))
  );
}

/** Each job that waits for another was begun once for each time that this one ended well. */
function checkFollowers(runs: readonly KnownRun[], jobs: readonly Job[], wrong: Wrong): void {
  const followers = Map.groupBy(
    runs.filter(({ origin }) => origin.kind === 'run'),
    ({ job, origin }) => `${job} after ${origin.kind === 'run' ? origin.id : ''}`,
  );
  for (const follower of jobs) {
    const awaited = awaitedJobs(follower, jobs).map(({ id }) => id);
    for (const { row, job } of runs) {
      if (row.state !== 'succeeded' || !awaited.includes(job)) continue;
      const own = followers.get(`${follower.id} after ${row.id}`) ?? [];
      if (own.length !== 1) wrong.push(`${follower.id} was begun ${own.length} times after ${job}, run ${row.id}`);
    }
  }
}

const messageSchema = z.object({ state: z.string() });

async function checkAlerts({ catalog, web, counts }: World, wrong: Wrong): Promise<void> {
  const received = web.requests.filter(({ path }) => path === '/alerts');
  /** What messages said, by what the receiver called them. */
  const states = new Map(
    received.map(({ headers, body }) => [headers['idempotency-key'], messageSchema.parse(JSON.parse(body)).state]),
  );
  counts.messages += received.length;
  const deliveries = await catalog.db.selectFrom('alertDelivery').selectAll().execute();
  for (const { id, receiverId, outcome, state, reason } of deliveries) {
    if (outcome === 'accepted' && states.get(receiverId ?? '') !== state)
      wrong.push(`message ${id}, ${state}, is noted as accepted, and nobody had it`);
    if (outcome === 'refused') wrong.push(`message ${id} was refused: ${reason}`);
  }
  const alerts = await catalog.db.selectFrom('alert').selectAll().where('kind', '=', 'probe').execute();
  for (const { id, firedAtMs, subject } of alerts) {
    counts.alerts += 1;
    const told = deliveries.filter(({ alertId, state }) => alertId === id && state === 'firing');
    if (firedAtMs !== null && told.length !== 1) wrong.push(`${subject}, alert ${id}, was told ${told.length} times`);
  }
}

const backupsSchema = z.array(z.object({ result: z.object({ snapshot: z.object({ id: z.string() }) }) }));

interface Backups {
  readonly runs: readonly KnownRun[];
  readonly steps: readonly StepRow[];
  readonly truth: ProtectedTruth;
}

const restoresMax = 6;
const restoresOfSlice = 2;

async function checkSnapshots(world: World, { truth, ...backups }: Backups, wrong: Wrong): Promise<void> {
  const { random, counts, wishes } = world;
  const { repositories: listed } = JSON.parse((await ran(world, 'snapshots')).stdout) as SnapshotList;
  const times = new Map(
    listed.flatMap(({ name, snapshots }) => snapshots.map(({ id, time }) => [`${name} ${id}`, Date.parse(time)])),
  );
  const toRestore: Restorable[] = [];
  for (const told of toldBackups(backups, wrong)) {
    counts.snapshots += 1;
    const timeMs = times.get(`${told.repository} ${told.snapshot}`);
    const mayBeRemoved = told.component === 'second' && wishes.isWhole;
    if (timeMs !== undefined) toRestore.push({ ...told, timeMs, truth });
    else if (!mayBeRemoved) wrong.push(`snapshot ${told.snapshot} is missing in ${told.repository}`);
  }
  if (toRestore.length === 0) wrong.push('there is nothing to restore');
  const restores = Math.min(toRestore.length, wishes.isWhole ? restoresMax : restoresOfSlice);
  for (let number = 0; number < restores; number += 1) {
    for (const chosen of toRestore.splice(Math.floor(random() * toRestore.length), 1))
      await checkRestored(world, chosen, wrong);
    counts.restored += 1;
  }
}

interface ToldBackup {
  readonly step: StepRow;
  readonly snapshot: string;
  readonly repository: string;
  readonly component: string;
}

/** What runs that ended well say that they have backed up. */
function toldBackups({ runs, steps }: Omit<Backups, 'truth'>, wrong: Wrong): ToldBackup[] {
  const backups = runs.filter(({ row }) => row.kind === 'backup' && row.state === 'succeeded');
  return backups.flatMap(({ row: { id, component } }) =>
    (component === 'first' ? (['local'] as const) : repositories).flatMap((repository) => {
      const step = steps.find(({ runId, name }) => runId === id && name === `backup to ${repository}`);
      const snapshot = snapshotOf(step);
      if (step !== undefined && snapshot !== undefined)
        return [{ step, snapshot, repository, component: component ?? '' }];
      wrong.push(`run ${id} has no snapshot in ${repository}`);
      return [];
    }),
  );
}

function snapshotOf(step: StepRow | undefined): string | undefined {
  if (step?.output === undefined || step.output === null) return undefined;
  const { digest } = z.object({ digest: z.record(z.string(), z.unknown()) }).parse(JSON.parse(step.output));
  return backupsSchema.parse(digest['backups'])[0]?.result.snapshot.id;
}

interface Restorable extends ToldBackup {
  readonly timeMs: number;
  readonly truth: ProtectedTruth;
}

async function checkRestored(world: World, wanted: Restorable, wrong: Wrong): Promise<void> {
  const { step, snapshot, repository, component, timeMs, truth } = wanted;
  const target = join(world.folder, 'restored');
  const { exitCode, stderr } = await ran(world, 'restore', snapshot, '--repository', repository, '--to', target);
  if (exitCode !== 0) {
    wrong.push(`snapshot ${snapshot} can't be restored: ${stderr}`);
    return;
  }
  const files = readdirSync(target, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const restored = new Map<string, Buffer>(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(path.indexOf(`/data/${component}/`) + `/data/${component}/`.length), readFileSync(path)];
    }),
  );
  for (const [path, content] of truth.contents)
    if (restored.get(path)?.equals(content) !== true) wrong.push(`${path} in snapshot ${snapshot} is not as it was`);
  const value = Number(restored.get(counterFile)?.toString() ?? NaN);
  if (!truth.counter.stoodBetween(value, timeMs, step.doneAtMs ?? 0))
    wrong.push(`snapshot ${snapshot} says ${value}, which was not so between ${timeMs} and ${step.doneAtMs}`);
  rmSync(target, { recursive: true });
}

async function checkRepositories(world: World, wrong: Wrong): Promise<void> {
  const { folder, wishes } = world;
  for (const repository of repositories) {
    const { exitCode, stdout, stderr } = await ran(world, 'verify', '--read-data', '--repository', repository);
    if (exitCode !== 0) wrong.push(`verify of ${repository} ended with ${exitCode}: ${stdout}${stderr}`);
    if (!wishes.isWhole) continue; // It would have to be started twice more.
    const env = { PATH: process.env['PATH'], HOME: folder, RESTIC_PASSWORD: testPassword };
    const args = ['-r', join(folder, repository), 'check', '--no-lock', '--read-data'];
    await promisify(execFile)('restic', args, { env }).catch((error: unknown) =>
      wrong.push(`restic check of ${repository}: ${String(error)}`),
    );
  }
  const { exitCode, stdout, stderr } = await ran(world, 'audit', 'verify');
  if (exitCode !== 0) wrong.push(`audit verify ended with ${exitCode}: ${stdout}${stderr}`);
}

function ran({ folder, environment }: World, ...args: readonly string[]): Promise<Ran> {
  return runLifeboat([...args, '--json'], { folder, environment });
}
