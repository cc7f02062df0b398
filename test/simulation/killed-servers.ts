// Whole servers and workers with real jobs are killed at random moments, also while they start, also a job's process alone; some are stopped
// for longer than their lease and woken again. When it is quiet again, what catalog and repositories hold must be true.
import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { openStates } from '../../src/catalog/tables.ts';
import { webReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import { environmentIn, launcher, runLifeboat } from '../support/lifeboat.ts';
import { processesIn } from '../support/processes-in-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { checkServers } from './servers-truth.ts';
import {
  noCounts,
  type KilledServersCounts,
  type KilledServersOptions,
  type Served,
  type World,
} from './servers-world.ts';
import { configurationOf, Counter, layOut } from './shop-of-files.ts';
import { Violation } from './simulated-repository.ts';
import { jobProcesses, Watch } from './watched-catalog.ts';

/** Short enough that a history sees many of them run out, long enough for a busy machine. */
const leaseMs = 12_000;
const usualLeaseMs = 60_000;
/** Of the lease: silence, then grace; what `job-process.ts` and `tether.ts` have. */
const orphanShare = 1 / 6;
const busyMs = 10_000;
const endMaxMs = 300_000;

/** Rejects with a `Violation` that names the seed. */
export async function killServers(options: KilledServersOptions): Promise<KilledServersCounts> {
  await using folder = await temporaryFolder();
  await using web = await webReceiver();
  web.answer = answering({ isDown: false });
  const wishes = { webUrl: web.url, isWhole: options.isWhole };
  const environment = environmentOf(options);
  const random = seededRandom(options.seed);
  const contents = layOut(folder.path, random);
  await using counter = new Counter(folder.path);
  writeFileSync(join(folder.path, 'lifeboat.yaml'), configurationOf(wishes, { isQuiet: false }));
  await prepare(folder.path, environment);
  const url = options.place?.location.url;
  const path = join(folder.path, '.local', 'state', 'lifeboat', 'catalog.sqlite');
  await using catalog = await openCatalog({ path, url }, systemClock);
  const begunMs = await catalog.nowMs();
  const counts = noCounts();
  const common = { options, random, folder: folder.path, environment, catalog, web, wishes, counts, begunMs };
  const world: World = { ...common, servers: new Set(), deaths: [], orphans: [], asked: [] };
  try {
    await using watch = new Watch({ catalog, folder: folder.path, isStrict: url !== undefined });
    await disturbAll(world);
    await becomeQuiet(world);
    await watch[Symbol.asyncDispose]();
    counts.sideBySide = watch.sideBySide;
    await counter[Symbol.asyncDispose]();
    const wrong = [...world.deaths, ...watch.wrong, ...(await checkServers(world, { contents, counter }))];
    if (wrong.length > 0) throw new Violation(wrong.join('\n  '));
  } catch (error) {
    const told = [...world.servers].map(({ said }) => said().slice(-1500)).join('\n---\n');
    const on = url === undefined ? 'SQLite' : 'PostgreSQL';
    throw new Violation(`servers on ${on}, seed ${options.seed}: ${String(error)}\n${told}`, { cause: error });
  } finally {
    for (const { child } of world.servers) child.kill('SIGKILL');
    await Promise.all([...world.servers].map(({ exited }) => exited));
    await Promise.allSettled(world.orphans);
    for (const { pid } of jobProcesses(folder.path)) process.kill(pid, 'SIGKILL');
  }
  return counts;
}

function environmentOf({ place }: KilledServersOptions): Record<string, string> {
  const url = place?.location.url;
  // On one machine the next server takes what is left at once.
  return url === undefined ? {} : { LIFEBOAT_DATABASE_URL: url, LIFEBOAT_LEASE_MS: String(leaseMs) };
}

async function prepare(folder: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const lifeboat = async (...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await runLifeboat(args, { folder, environment });
    if (exitCode !== 0) throw new Violation(`lifeboat ${args.join(' ')} ended with ${exitCode}: ${stderr}`);
  };
  await lifeboat('repository', 'init', '--repository', 'local');
  await lifeboat('repository', 'init', '--repository', 'offsite', '--from', 'local');
}

function startMissing(world: World): void {
  const wanted = [...world.options.processes];
  for (const { kind } of world.servers) wanted.splice(wanted.indexOf(kind), 1);
  for (const kind of wanted) start(world, kind);
}

function start({ folder, environment, servers, deaths, counts }: World, kind: Served['kind']): void {
  const args = kind === 'server' ? ['server', '--listen', '0'] : ['worker'];
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    env: environmentIn(folder, environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const { promise: ready, resolve } = Promise.withResolvers<undefined>();
  let isReady = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text = `${text}${chunk.toString()}`;
      isReady ||= text.includes(`${kind} is ready`);
      if (isReady) resolve(undefined);
    });
  }
  const exited = new Promise<number | null>((end) => child.once('exit', end));
  const served = { kind, child, exited, ready, isReady: () => isReady, said: () => text };
  child.once('exit', (code, signal) => {
    servers.delete(served);
    if (signal !== 'SIGKILL' && code !== 0) deaths.push(`a ${kind} ended by itself with ${code}: ${text.slice(-1000)}`);
  });
  servers.add(served);
  counts.starts += 1;
}

async function disturbAll(world: World): Promise<void> {
  const { options, counts, random, deaths, web, servers } = world;
  while (counts.kills < options.kills && deaths.length === 0) {
    startMissing(world);
    const target = oneOf([...servers], random);
    if (target === undefined) continue;
    if (random() < 0.25) {
      await sleep(random() * 600);
    } else {
      await Promise.race([target.ready, target.exited]);
      await sleep(random() * (options.isWhole ? 5000 : 1000));
    }
    // What is looked at comes and goes, so that people are told.
    const isDown = random() < 0.4;
    web.answer = answering({ isDown });
    if (options.isWhole && random() < 0.2) await ask(world);
    await disturb(world, target);
  }
}

/** Each message is called by its key. */
function answering({ isDown }: { readonly isDown: boolean }): WebReceiver['answer'] {
  return (response, { path, headers }) =>
    response
      .writeHead(isDown && path === '/health' ? 503 : 200)
      .end(JSON.stringify({ id: headers['idempotency-key'] ?? '' }));
}

function oneOf<Item>(items: readonly Item[], random: Random): Item | undefined {
  return items[Math.floor(random() * items.length)];
}

async function ask({ folder, environment, asked, counts, random }: World): Promise<void> {
  const job = oneOf(['backup/first', 'proof/second', 'verification/offsite/structure'], random) ?? '';
  const { exitCode, stdout, stderr } = await runLifeboat(['runs', 'start', job, '--json'], { folder, environment });
  if (exitCode !== 0) throw new Violation(`${job} could not be asked for: ${stderr}`);
  const { runs } = JSON.parse(stdout) as { readonly runs: readonly { readonly id: string }[] };
  asked.push(...runs.map(({ id }) => id));
  counts.asked += 1;
}

async function disturb(world: World, target: Served): Promise<void> {
  const { options, counts, folder, random, servers } = world;
  const choice = random();
  if (options.isWhole && choice < 0.2) {
    const job = oneOf(jobProcesses(folder), random);
    if (job === undefined) return;
    process.kill(job.pid, 'SIGKILL');
    counts.jobKills += 1;
    counts.kills += 1;
    return;
  }
  if (options.place !== undefined && choice < 0.35) {
    // As a machine that swaps, or a virtual one that was moved: it comes back and believes that no time has passed.
    target.child.kill('SIGSTOP');
    counts.stops += 1;
    await sleep(leaseMs * (0.5 + random() * 1.5));
    target.child.kill('SIGCONT');
    return;
  }
  // What works for others may be among them: then it is no orphan, and ends with its job.
  const jobs = servers.size === 1 ? jobProcesses(folder) : childJobs(target, folder);
  counts.killsWhileStarting += target.isReady() ? 0 : 1;
  target.child.kill('SIGKILL');
  await target.exited;
  counts.kills += 1;
  world.orphans.push(untilGone(world, jobs));
}

function childJobs({ child }: Served, folder: string): ReturnType<typeof jobProcesses> {
  return jobProcesses(folder).filter(({ parent }) => parent === child.pid);
}

/** They have lost their worker, and end themselves. */
async function untilGone({ folder, deaths, environment }: World, jobs: ReturnType<typeof jobProcesses>): Promise<void> {
  const maxMs = orphanShare * Number(environment['LIFEBOAT_LEASE_MS'] ?? usualLeaseMs) + busyMs;
  const startMs = performance.now();
  for (;;) {
    const left = jobProcesses(folder).filter((now) =>
      jobs.some(({ pid, command }) => pid === now.pid && command === now.command),
    );
    if (left.length === 0) return;
    if (performance.now() - startMs > maxMs) {
      deaths.push(`an orphan lives on: ${left[0]?.command}`);
      return;
    }
    await sleep(100);
  }
}

/** Everything runs, nothing new begins, and all that was begun comes to its end. */
async function becomeQuiet(world: World): Promise<void> {
  const { servers, catalog, folder, wishes, web, deaths, orphans } = world;
  startMissing(world);
  await Promise.all([...servers].map(({ ready, exited }) => Promise.race([ready, exited])));
  const readyMs = await catalog.nowMs();
  await until('a schedule is dealt with no more', async () => {
    const rows = await catalog.db.selectFrom('schedule').selectAll().where('firedUpToMs', '<', readyMs).execute();
    // Others wait for a job.
    return rows.filter(({ spec }) => spec.includes('"interval"')).map(({ id }) => id);
  });
  web.answer = answering({ isDown: false });
  const file = join(folder, 'lifeboat.yaml');
  writeFileSync(`${file}.new`, configurationOf(wishes, { isQuiet: true }));
  // A job that reads it half written fails.
  renameSync(`${file}.new`, file);
  await until('runs have no end', async () => {
    if (deaths.length > 0) throw new Violation(deaths.join('\n'));
    const rows = await catalog.db.selectFrom('run').selectAll().where('state', 'in', openStates).execute();
    return rows.map((row) => JSON.stringify(row));
  });
  await until('somebody was not told', async () => {
    const rows = await catalog.db.selectFrom('alertDelivery').selectAll().where('outcome', '=', 'waiting').execute();
    const open = await catalog.db.selectFrom('alert').selectAll().where('openKey', 'like', '%probe%').execute();
    return [...rows, ...open].map((row) => JSON.stringify(row));
  });
  await Promise.all(orphans);
  for (const { child } of servers) child.kill('SIGTERM');
  await Promise.all([...servers].map(({ exited }) => exited));
  await until('something lives on', async () => processesIn(folder).map(String));
}

async function until(trouble: string, look: () => Promise<readonly string[]>): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const left = await look();
    if (left.length === 0) return;
    if (performance.now() - startMs > endMaxMs) throw new Violation(`${trouble}: ${left.slice(0, 3).join(' ')}`);
    await sleep(250);
  }
}
