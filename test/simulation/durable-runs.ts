// Workers are killed, stopped and woken at random moments while they carry out runs. At the end every run is at its end, each step was
// committed once, nobody worked on a run whose lease was over, and two of one key never ran side by side.
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom, type Random } from '../../src/base/random.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { findRun, insertRun, type RunRow } from '../../src/catalog/runs.ts';
import { sendSignal } from '../../src/catalog/signals.ts';
import { stepsOf } from '../../src/catalog/steps.ts';
import { openStates } from '../../src/catalog/tables.ts';
import { openTestCatalog, type TestCatalog } from '../support/catalogs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { Effect, WorkerWish } from './run-worker.ts';
import { Violation } from './simulated-repository.ts';

export interface DurableRunsOptions {
  readonly place: TestCatalog;
  readonly seed: number;
  readonly kills: number;
  /** Side by side. */
  readonly workers: number;
}

export interface DurableRunsCounts {
  kills: number;
  stops: number;
  cuts: number;
  runs: number;
  steps: number;
  takenOver: number;
}

const leaseMs = 1500;
const openRunsMax = 12;
const endMaxMs = 60_000;

interface World {
  readonly options: DurableRunsOptions;
  readonly random: Random;
  readonly catalog: Catalog;
  readonly wish: WorkerWish;
  readonly counts: DurableRunsCounts;
  readonly runs: Expected[];
  readonly workers: Set<Worker>;
  /** Of workers that nobody killed. */
  readonly deaths: string[];
  /** Signals that come late: they are sent before the catalog is closed. */
  readonly lateSignals: Promise<unknown>[];
  /** Those that are stopped at the moment. One may hold a transaction: who waits for it here never wakes it. */
  readonly stopped: Set<Worker>;
}

interface Worker {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly ready: Promise<unknown>;
}

interface Expected {
  readonly id: string;
  readonly steps: number;
  readonly topic: string | undefined;
  readonly answer: number;
}

/** Rejects with a `Violation` that names the seed. */
export async function runDurableRuns(options: DurableRunsOptions): Promise<DurableRunsCounts> {
  const { place, seed, kills, workers } = options;
  await using folder = await temporaryFolder();
  await using catalog = await openTestCatalog(place, { isObserver: true });
  const effects = join(folder.path, 'effects.jsonl');
  const world: World = {
    options,
    random: seededRandom(seed),
    catalog,
    wish: { location: place.location, effects, leaseMs, labels: ['host=here'] },
    counts: { kills: 0, stops: 0, cuts: 0, runs: 0, steps: 0, takenOver: 0 },
    runs: [],
    workers: new Set(),
    deaths: [],
    lateSignals: [],
    stopped: new Set(),
  };
  try {
    while (world.counts.kills < kills) {
      while (world.workers.size < workers) startWorker(world);
      await addRuns(world);
      await disturb(world);
    }
    await Promise.all(world.lateSignals);
    await untilAllEnded(world);
    if (world.deaths.length > 0) throw new Violation(world.deaths.join(', '));
    await check(world, existsSync(effects) ? readFileSync(effects, 'utf8') : '');
  } catch (error) {
    throw new Violation(`runs on ${catalog.kind}, seed ${seed}: ${String(error)}`, { cause: error });
  } finally {
    for (const { child } of world.workers) child.kill('SIGKILL');
    await Promise.all([...world.workers].map(({ exited }) => exited));
    await Promise.allSettled(world.lateSignals);
  }
  return world.counts;
}

function startWorker({ wish, workers, deaths }: World): void {
  const child = fork(join(import.meta.dirname, 'run-worker.ts'), [JSON.stringify(wish)], { stdio: 'inherit' });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let isReady = false;
  const ready = new Promise((resolve) => child.once('message', resolve)).then(() => (isReady = true));
  const worker = { child, exited, ready };
  child.once('exit', (code, signal) => {
    workers.delete(worker);
    // One that can't open the catalog ends, and is begun anew by whoever keeps it; one that works goes on.
    if (signal !== 'SIGKILL' && isReady) deaths.push(`a worker ended by itself with ${code}`);
  });
  workers.add(worker);
}

async function addRuns({ catalog, random, runs, lateSignals, stopped }: World): Promise<void> {
  const open = await catalog.db.selectFrom('run').select('id').where('state', 'in', openStates).execute();
  for (let number = open.length; number < openRunsMax; number += 1) {
    const steps = 1 + Math.floor(random() * 5);
    const topic = random() < 0.4 ? 'approval' : undefined;
    const answer = Math.floor(random() * 1000);
    const seed = Math.floor(random() * 2 ** 31);
    const id = await insertRun(catalog, {
      kind: 'work',
      input: { seed, steps, topic },
      origin: { kind: 'test' },
      labels: random() < 0.5 ? ['host=here'] : [],
      concurrencyKey: random() < 0.5 ? `key ${Math.floor(random() * 3)}` : undefined,
    });
    runs.push({ id, steps, topic, answer });
    // Early, late, and twice: the first one counts.
    if (topic === undefined) continue;
    const send = (data: number): Promise<unknown> => sendSignal(catalog, { runId: id, topic, data });
    if (random() < 0.5) await send(answer);
    else lateSignals.push(sendLate(random() * 2000, stopped, [() => send(answer), () => send(answer + 1)]));
  }
}

async function sendLate(
  delayMs: number,
  stopped: ReadonlySet<Worker>,
  sends: readonly (() => Promise<unknown>)[],
): Promise<void> {
  await sleep(delayMs);
  for (const send of sends) {
    while (stopped.size > 0) await sleep(50);
    await send();
  }
}

async function disturb({ options, random, workers, counts, stopped }: World): Promise<void> {
  const all = [...workers];
  const worker = all[Math.floor(random() * all.length)];
  if (worker === undefined) return;
  if (options.place.cut !== undefined && random() < 0.2) {
    await options.place.cut();
    counts.cuts += 1;
    return;
  }
  // Most are at work by then, however slow the machine is to start them; some die while they start.
  if (random() < 0.8) await Promise.race([worker.ready, worker.exited]);
  await sleep(random() * 300);
  if (random() < 0.2) {
    // As a machine that swaps, or a virtual one that was moved: it comes back and believes that no time has passed.
    worker.child.kill('SIGSTOP');
    stopped.add(worker);
    counts.stops += 1;
    await sleep(random() * leaseMs * 2);
    worker.child.kill('SIGCONT');
    stopped.delete(worker);
    return;
  }
  worker.child.kill('SIGKILL');
  await worker.exited;
  workers.delete(worker);
  counts.kills += 1;
}

async function untilAllEnded(world: World): Promise<void> {
  const { catalog } = world;
  const startMs = performance.now();
  for (;;) {
    while (world.workers.size < world.options.workers) startWorker(world);
    const open = await catalog.db.selectFrom('run').selectAll().where('state', 'in', openStates).execute();
    if (open.length === 0) return;
    if (performance.now() - startMs > endMaxMs)
      throw new Violation(`${open.length} runs have no end: ${JSON.stringify(open.slice(0, 3))}`);
    await sleep(200);
  }
}

async function check({ catalog, runs, counts }: World, text: string): Promise<void> {
  const effects = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Effect);
  for (const expected of runs) {
    const run = await findRun(catalog, expected.id);
    if (run === undefined) throw new Violation(`run ${expected.id} was lost`);
    checkOutput(run, expected);
    const steps = await stepsOf(catalog, run.id);
    const own = effects.filter((effect) => effect.run === run.id);
    for (const step of steps.filter(({ name }) => name.startsWith('step '))) {
      if (step.state !== 'done') throw new Violation(`${step.name} of ${run.id} is ${step.state}`);
      const done = own.filter(({ step: name, what }) => name === step.name && what === 'done');
      if (!done.some(({ epoch }) => epoch === step.epoch))
        throw new Violation(`${step.name} of ${run.id} was committed by epoch ${step.epoch}, who did not do it`);
      if (own.some(({ step: name, epoch, what }) => name === step.name && what === 'begun' && epoch > step.epoch))
        throw new Violation(`${step.name} of ${run.id} was begun after epoch ${step.epoch} had committed it`);
      counts.steps += 1;
    }
    counts.runs += 1;
    counts.takenOver += own.some(({ epoch }) => epoch > 1) ? 1 : 0;
  }
}

function checkOutput(run: RunRow, { steps, topic, answer }: Expected): void {
  const outputs = Array.from({ length: steps }, (_, number) => number * 10);
  if (topic !== undefined) outputs.splice(Math.floor(steps / 2) + 1, 0, answer);
  const wanted = JSON.stringify({ outputs });
  if (run.state !== 'succeeded' || run.output !== wanted)
    throw new Violation(`run ${run.id} is ${run.state} with ${run.output ?? run.error} instead of ${wanted}`);
}
