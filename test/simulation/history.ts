// One simulated history: up to three processes at a time back up, forget, prune, copy and retag in two repositories whose
// stores fail, and die or stand still at any call. After each step, and at the end, nothing acknowledged may be missing.
import { AppError, messageOf } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { unlock } from '../../src/repository/lock.ts';
import { mutate, type Files } from '../support/generated-source.ts';
import { operationKinds, operations, type OperationKind, type Scene } from './operations.ts';
import {
  makePause,
  simulatedClock,
  type HostOptions,
  type Pause,
  type SimulatedClock,
  type SimulatedHost,
} from './simulated-host.ts';
import { SimulatedRepository, Violation } from './simulated-repository.ts';

export interface HistoryCounts {
  succeeded: number;
  failed: number;
  crashed: number;
  paused: number;
  interrupted: number;
  /** Snapshots that were compared in the end. */
  restored: number;
  /** Restores that came to their end beside all that. */
  restores: number;
}

export const noCounts = (): HistoryCounts => ({
  succeeded: 0,
  failed: 0,
  crashed: 0,
  paused: 0,
  interrupted: 0,
  restored: 0,
  restores: 0,
});

const weights: Record<OperationKind, number> = {
  backup: 6,
  prune: 3,
  forget: 2,
  copy: 2,
  tag: 1,
  rebuild: 0.4,
  restore: 3,
};
const staleMs = 31 * 60_000;
/** Far beyond what the slowest takes on a busy machine. */
const historyMaxMs = 120_000;
const never = new AbortController().signal;

interface World {
  readonly random: Random;
  readonly clock: SimulatedClock;
  readonly repositories: readonly [SimulatedRepository, SimulatedRepository];
  readonly files: { current: Files };
  readonly counts: HistoryCounts;
  readonly packTargetBytes: number;
  readonly faultChance: number;
  readonly crashChance: number;
  readonly callMsMax: number;
  numbers: number;
  hosts: number;
}

/** Rejects with a `Violation` that names the seed. */
export async function runHistory(seed: number): Promise<HistoryCounts> {
  const random = seededRandom(seed);
  const clock = simulatedClock();
  const world: World = {
    random,
    clock,
    counts: noCounts(),
    numbers: 0,
    hosts: 0,
    repositories: [
      await SimulatedRepository.create('first', clock, random),
      await SimulatedRepository.create('second', clock, random),
    ],
    files: { current: mutate(new Map(), random) },
    packTargetBytes: 2000 + Math.floor(random() * 20_000),
    faultChance: random() < 0.4 ? 0 : random() * 0.01,
    crashChance: random() * 0.5,
    callMsMax: random() < 0.3 ? 20_000 : 1000,
  };
  const timer = new AbortController();
  try {
    await Promise.race([live(world), timeOut(timer.signal)]);
  } catch (error) {
    throw new Violation(`seed ${seed}: ${messageOf(error)}`, { cause: error });
  } finally {
    timer.abort();
  }
  return world.counts;
}

async function timeOut(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Violation('it hangs')), historyMaxMs);
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return promise;
}

async function live(world: World): Promise<void> {
  const { random, repositories, counts } = world;
  const steps = 4 + Math.floor(random() * 9);
  for (let step = 0; step < steps; step += 1) {
    // Sooner or later somebody clears the locks of the dead away; until then they stand in the way.
    if (random() < 0.6) await clearStaleLocks(world);
    await runStep(world);
    for (const repository of repositories) await repository.settle();
  }
  for (const repository of repositories) counts.restored += await repository.finish();
}

async function clearStaleLocks({ clock, repositories }: World): Promise<void> {
  clock.advance(staleMs);
  for (const { onDisk } of repositories) await unlock(onDisk, { removeAll: false, signal: never });
}

async function runStep(world: World): Promise<void> {
  const { random } = world;
  const kinds = Array.from({ length: random() < 0.5 ? 1 : 2 + Math.floor(random() * 2) }, () => pickKind(random));
  const pause = random() < 0.25 ? makePause() : undefined;
  const all = kinds.map((kind, at) =>
    runOperation(world, kind, { beside: kinds, pause: at === 0 ? pause : undefined }),
  );
  for (const each of all) each.catch(() => undefined); // Heard of at the end of the step.
  if (pause !== undefined) {
    const [paused, ...others] = all;
    await Promise.race([pause.reached.then(() => (world.counts.paused += 1)), paused]);
    await Promise.all(others);
    // Its lock is called stale and removed, and the world goes on without it.
    await clearStaleLocks(world);
    await runOperation(world, 'prune', { beside: ['prune'], pause: undefined });
    if (random() < 0.5) await runOperation(world, 'backup', { beside: ['backup'], pause: undefined });
    pause.release();
  }
  await Promise.all(all);
}

function pickKind(random: Random): OperationKind {
  const sum = operationKinds.reduce((total, kind) => total + weights[kind], 0);
  let rest = random() * sum;
  return operationKinds.find((kind) => (rest -= weights[kind]) < 0) ?? 'backup';
}

/** Runs one process to its end, whatever that is. Rejects only with what must not happen. */
async function runOperation(
  world: World,
  kind: OperationKind,
  { beside, pause }: { readonly beside: readonly OperationKind[]; readonly pause: Pause | undefined },
): Promise<void> {
  const { random, repositories, counts } = world;
  const [first, second] = repositories;
  const [target, source] = random() < 0.7 ? [first, second] : [second, first];
  const controller = new AbortController();
  const options = hostOptions(world, { kind, pause, controller });
  const hosts: SimulatedHost[] = [];
  const hostName = `host-${(world.hosts += 1)}`;
  const scene: Scene = {
    random,
    target,
    source,
    beside,
    signal: controller.signal,
    packTargetBytes: world.packTargetBytes,
    files: world.files,
    hasCrashed: () => hosts.some((host) => host.hasCrashed()),
    mayLack: pause !== undefined || (kind === 'restore' && options.seesStaleLists),
    open: async (repository) => {
      const host = repository.host(options);
      hosts.push(host);
      return repository.open(host, { hostName, ...options });
    },
    nextNumber: () => (world.numbers += 1),
  };
  try {
    await operations[kind](scene);
    counts.succeeded += 1;
    if (kind === 'restore') counts.restores += 1;
  } catch (error) {
    if (error instanceof Violation) throw error;
    if (scene.hasCrashed()) counts.crashed += 1;
    else if (controller.signal.aborted) counts.interrupted += 1;
    else {
      counts.failed += 1;
      refuseUnexpected(error, { kind, mayLack: scene.mayLack });
    }
  }
}

function hostOptions(
  { random, clock, callMsMax, crashChance, faultChance }: World,
  {
    kind,
    pause,
    controller,
  }: {
    readonly kind: OperationKind;
    readonly pause: Pause | undefined;
    readonly controller: AbortController;
  },
): HostOptions {
  // The first few calls open the repository: nobody sleeps there, or is asked to stop.
  const someCall = (): number => 4 + Math.floor(random() ** 1.5 * 90);
  const isCrashing = random() < crashChance;
  const isInterrupted = random() < 0.05;
  return {
    random,
    clock,
    callMsMax,
    faultChance,
    patience: controller,
    seesStaleLists: (kind === 'backup' || kind === 'restore') && random() < 0.2,
    callsBeforeCrash: isCrashing ? someCall() - 4 : undefined,
    pause: pause && { pause, atCall: Math.min(60, someCall()) },
    interrupt: isInterrupted ? { controller, atCall: someCall() } : undefined,
  };
}

/** Damage that is none, and faults of the program. */
function refuseUnexpected(error: unknown, { kind, mayLack }: { kind: OperationKind; mayLack: boolean }): void {
  const { code } = error instanceof AppError ? error : { code: undefined };
  const usual = ['REPOSITORY_LOCKED', 'LOCK_LOST', 'STORE_UNREACHABLE', 'STORE_FAILED', 'OBJECT_MISSING'];
  if (code !== undefined && usual.includes(code)) return;
  // Who slept while his lock was taken away, or was shown what is no more, may find that what he reads of is gone.
  if (code === 'REPOSITORY_DAMAGED' && mayLack) return;
  throw new Violation(`${kind}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}
