// The queue of many workers on PostgreSQL: pg-boss hands each run that is due to one of those that carry its labels, hears of workers that
// die, and hands their runs to others. Whoever listens also looks through the table of runs: what was stored and never offered, became
// due, or waited for another run of its key, is offered then.
import { PgBoss } from 'pg-boss';
import { asError, isAppError, messageOf } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { labelsIn } from '../catalog/workers.ts';
import { claimableRuns, type ClaimableRun } from '../catalog/runs.ts';
import { Repeating } from './repeating.ts';
import { fits, hasRoom, isUrgent, type OfferedRun, type Queue, type Subscription } from './queue.ts';

/** A schema of its own beside the catalog's. */
const schema = 'lifeboat_queue';
const sweepEveryMs = 1000;
const fetchEveryMs = 500;
const candidatesMax = 500;
const heartbeatSeconds = 30;
const deleteAfterSeconds = 3600;
/** Only a limit on jobs whose worker is not heard of any more and never was: the lease decides, not this. */
const expireInSeconds = 23 * 3600;

export interface PgBossQueueOptions {
  readonly catalog: Catalog;
  readonly url: string;
  /** The server could not be reached, or a run not be taken; it is tried again. */
  readonly onProblem: (error: Error) => void;
}

/** Rejects if the server can't be reached. */
export async function openPgBossQueue(options: PgBossQueueOptions): Promise<Queue> {
  const boss = new PgBoss({
    connectionString: options.url,
    schema,
    max: 4,
    application_name: 'lifeboat',
    schedule: false,
    persistWarnings: false,
  });
  // That something was refused says little where it does not say what.
  const onProblem = (error: Error): void => {
    const named = `the queue at LIFEBOAT_DATABASE_URL: ${messageOf(error)}`;
    options.onProblem(isAppError(error) ? error : new Error(named, { cause: error }));
  };
  boss.on('error', (error) => onProblem(asError(error)));
  await boss.start();
  return new PgBossQueue(boss, { ...options, onProblem });
}

interface Job {
  readonly run: string;
}

class PgBossQueue implements Queue {
  readonly #boss: PgBoss;
  readonly #options: PgBossQueueOptions;
  /** Labels that runs of this queue ask for, as they are named there. */
  readonly #made = new Map<string, Promise<void>>();

  constructor(boss: PgBoss, options: PgBossQueueOptions) {
    this.#boss = boss;
    this.#options = options;
  }

  async offer({ id, labels, priority, wakeAtMs }: OfferedRun): Promise<void> {
    const { name } = queueOf(labels, { priority });
    await this.#make(name);
    const startAfter = wakeAtMs === undefined ? undefined : new Date(wakeAtMs);
    await this.#boss.send(name, { run: id } satisfies Job, {
      singletonKey: id,
      priority,
      ...(startAfter !== undefined && { startAfter }),
    });
  }

  subscribe(subscription: Subscription): Promise<AsyncDisposable> {
    const { catalog, onProblem } = this.#options;
    const listener = new Listener({
      boss: this.#boss,
      subscription,
      onProblem,
      candidates: () => claimableRuns(catalog, candidatesMax),
      offer: (run) => this.offer(run),
      make: (name) => this.#make(name),
    });
    return Promise.resolve(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#boss.stop({ graceful: false });
  }

  #make(name: string): Promise<void> {
    let made = this.#made.get(name);
    if (made === undefined) {
      // `short`: of one run at most one job waits. That of a worker that died still counts as worked on for a while.
      const options = {
        policy: 'short',
        heartbeatSeconds,
        expireInSeconds,
        deleteAfterSeconds,
        retryLimit: 1000,
      } as const;
      made = this.#boss.createQueue(name, options);
      made.catch(() => this.#made.delete(name));
      this.#made.set(name, made);
    }
    return made;
  }
}

interface Lane {
  readonly name: string;
  readonly isUrgent: boolean;
}

/** In characters that pg-boss takes for names. What is urgent has a queue of its own: a worker may have room for nothing else. */
function queueOf(labels: readonly string[], run: Pick<OfferedRun, 'priority'>): Lane {
  const text = labels.toSorted().join(',');
  const first = isUrgent(run) ? 'urgent' : 'run';
  return { name: text === '' ? first : `${first}.${Buffer.from(text).toString('base64url')}`, isUrgent: isUrgent(run) };
}

interface ListenerParts extends Pick<PgBossQueueOptions, 'onProblem'> {
  readonly boss: PgBoss;
  readonly subscription: Subscription;
  candidates(): Promise<ClaimableRun[]>;
  offer(run: OfferedRun): Promise<void>;
  /** A queue, unless it is there. */
  make(name: string): Promise<void>;
}

/** Fetches by itself instead of registering a handler for each queue: together they must not take more than this worker can do. */
class Listener implements AsyncDisposable {
  readonly #parts: ListenerParts;
  readonly #lanes = new Map<string, Lane>();
  readonly #taken = new Map<string, { readonly isUrgent: boolean; readonly ended: Promise<void> }>();
  readonly #sweeping: Repeating;
  readonly #fetching: Repeating;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    const { onProblem } = parts;
    for (const priority of [Infinity, 0]) this.#addLane(queueOf([], { priority }));
    this.#sweeping = new Repeating({ everyMs: sweepEveryMs, work: () => this.#sweep(), onProblem });
    this.#fetching = new Repeating({ everyMs: fetchEveryMs, work: () => this.#fetch(), onProblem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#sweeping[Symbol.asyncDispose](), this.#fetching[Symbol.asyncDispose]()]);
    await Promise.all([...this.#taken.values()].map(({ ended }) => ended));
  }

  async #sweep(): Promise<void> {
    for (const run of await this.#parts.candidates()) {
      if (!fits(this.#parts.subscription, run) || this.#taken.has(run.id)) continue;
      const labels = labelsIn(run.labels);
      this.#addLane(queueOf(labels, run));
      await this.#parts.offer({ ...run, labels, wakeAtMs: undefined });
    }
    this.#fetching.wake();
  }

  async #fetch(): Promise<void> {
    const { boss, subscription } = this.#parts;
    if (subscription.isReady?.() === false) return;
    for (const lane of this.#lanes.values()) {
      if (this.#fetching.isClosed) return;
      if (!hasRoom(subscription, [...this.#taken.values()], lane)) continue;
      await this.#parts.make(lane.name);
      const batchSize = Math.max(1, subscription.runsMax - this.#taken.size);
      for (const job of await boss.fetch<Job>(lane.name, { batchSize })) {
        this.#taken.set(job.data.run, { isUrgent: lane.isUrgent, ended: this.#take(lane.name, job) });
      }
    }
  }

  /** Those of urgent runs come first. */
  #addLane(lane: Lane): void {
    if (this.#lanes.has(lane.name)) return;
    const lanes = [...this.#lanes.values(), lane].toSorted(
      (one, other) => Number(other.isUrgent) - Number(one.isUrgent),
    );
    this.#lanes.clear();
    for (const each of lanes) this.#lanes.set(each.name, each);
  }

  async #take(queue: string, { id, data }: { readonly id: string; readonly data: Job }): Promise<void> {
    const { boss, subscription, onProblem } = this.#parts;
    const touch = (): void => void boss.touch(queue, id).catch((error: unknown) => onProblem(asError(error)));
    const beat = setInterval(touch, (heartbeatSeconds * 1000) / 3);
    try {
      await subscription.take(data.run);
    } catch (error) {
      onProblem(asError(error));
    }
    clearInterval(beat);
    try {
      // Also where it went wrong: a run that is not at its end is found and offered again.
      await boss.complete(queue, id);
    } catch (error) {
      onProblem(asError(error));
    }
    this.#taken.delete(data.run);
    // Perhaps another run of its key may go on now.
    this.#sweeping.wake();
  }
}
