// A worker: takes runs, carries out their functions, and keeps its leases. One that can't renew them in time stops what it does before
// anybody else may begin with it; whatever it writes then is refused by the epoch as well.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { z } from 'zod';
import { AppError, asError, errorKinds, isAppError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import {
  claimRun,
  endRun,
  findRun,
  renewLeases,
  requeueRun,
  type Ending,
  type Hold,
  type RunRow,
} from '../catalog/runs.ts';
import { endWorker, insertWorker, seeWorker } from '../catalog/workers.ts';
import { persistently } from './persistently.ts';
import { fits, type Queue, type Subscription } from './queue.ts';
import { openRunContext, type RunContext } from './run-context.ts';
import { RunCancelled, RunFenced, RunParked, WorkerStopping } from './run-stops.ts';

export interface RunDefinition<Input = unknown, Output extends object = object> {
  readonly input: z.ZodType<Input>;
  /** Begins anew after each crash; its steps don't. */
  execute(run: RunContext, input: Input): Promise<Output>;
}

/** Keeps the types of a definition's own input. */
export function defineRun<Input, Output extends object>(definition: RunDefinition<Input, Output>): RunDefinition {
  return definition;
}

export interface WorkerOptions {
  readonly catalog: Catalog;
  readonly queue: Queue;
  /** By kind. Runs of others are left to others: an older worker does not know all that a newer server asks for. */
  readonly definitions: Readonly<Record<string, RunDefinition>>;
  readonly name: string;
  readonly version: string;
  readonly labels: readonly string[];
  /** As those of a queue's subscription. */
  readonly takes?: Subscription['takes'];
  readonly isReady?: Subscription['isReady'];
  readonly runsMax: number;
  readonly random: Random;
  /** How long a run stays with a worker that is not heard of. */
  readonly leaseMs?: number;
  /** The catalog could not be reached, say: what was told is tried again. */
  readonly onProblem: (error: Error) => void;
  /** A run has left this worker. */
  readonly onEnded?: (run: Pick<RunRow, 'id' | 'kind' | 'application' | 'input'> & Pick<Ending, 'state'>) => void;
}

const leaseDefaultMs = 15_000;
/** Signs of life in a lease. */
const renewals = 6;
/** Others may take a run when its lease is over. What it had begun is asked to end at half of it: the rest is for that. */
const confirmedShare = 0.5;
const retryFirstMs = 30_000;
const retryMaxMs = 15 * 60_000;
/** A run that kills its workers must not kill them for ever. */
const crashesMax = 10;

interface Held extends Hold {
  readonly abort: AbortController;
  /** When the request was sent by which the lease was last had, on the clock that never jumps. */
  confirmedMs: number;
}

export async function startWorker(options: WorkerOptions): Promise<AsyncDisposable & { readonly id: string }> {
  const worker = new Worker(options);
  await worker.start();
  return worker;
}

class Worker implements AsyncDisposable {
  readonly id = randomUUIDv7();
  readonly #options: WorkerOptions;
  readonly #leaseMs: number;
  readonly #held = new Map<string, Held>();
  #subscription: AsyncDisposable | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #renewing: Promise<void> | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? leaseDefaultMs;
  }

  async start(): Promise<void> {
    const { catalog, queue, name, version, labels } = this.#options;
    await insertWorker(catalog, { id: this.id, name, version, labels });
    const renew = (): void => void (this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined)));
    this.#timers.push(
      setInterval(renew, this.#leaseMs / renewals),
      setInterval(() => this.#watch(), this.#leaseMs / 20),
    );
    this.#subscription = await queue.subscribe({ ...this.#wishes, take: (id) => this.#take(id) });
  }

  get #wishes(): Omit<Subscription, 'take'> {
    const { definitions, labels, takes, isReady, runsMax } = this.#options;
    return { labels, kinds: Object.keys(definitions), takes, isReady, runsMax };
  }

  /** Lets go of its runs: they go on elsewhere. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { abort } of this.#held.values()) abort.abort(new WorkerStopping());
    await this.#subscription?.[Symbol.asyncDispose]();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#renewing;
    try {
      await endWorker(this.#options.catalog, this.id);
    } catch (error) {
      this.#options.onProblem(asError(error));
    }
  }

  /** Stops what may be begun by another soon. */
  #watch(): void {
    const oldestMs = performance.now() - this.#leaseMs * confirmedShare;
    for (const held of this.#held.values()) {
      if (held.confirmedMs < oldestMs) held.abort.abort(new RunFenced(held));
    }
  }

  async #renew(): Promise<void> {
    const { catalog, onProblem } = this.#options;
    const confirmedMs = performance.now();
    const before = [...this.#held.values()];
    try {
      const ids = before.map(({ id }) => id);
      const claim = { worker: this.id, leaseMs: this.#leaseMs };
      const renewed = ids.length === 0 ? [] : await renewLeases(catalog, ids, claim);
      const own = new Map(renewed.map((one) => [one.id, one]));
      for (const held of before) {
        const now = own.get(held.id);
        if (now?.epoch !== held.epoch) held.abort.abort(new RunFenced(held));
        else if (now.cancelRequestedAtMs !== null) held.abort.abort(new RunCancelled(held));
        else held.confirmedMs = confirmedMs;
      }
      await seeWorker(catalog, this.id);
    } catch (error) {
      onProblem(asError(error));
    }
  }

  async #take(id: string): Promise<void> {
    const confirmedMs = performance.now();
    const { catalog } = this.#options;
    const wishes = this.#wishes;
    // A queue hands out what others can do better.
    const found = wishes.takes === undefined ? undefined : await findRun(catalog, id);
    if (found !== undefined && !fits(wishes, found)) return;
    const claim = { worker: this.id, leaseMs: this.#leaseMs, kinds: wishes.kinds };
    const run = await claimRun(catalog, id, claim);
    if (run === undefined) return;
    const held: Held = { id, epoch: run.epoch, abort: new AbortController(), confirmedMs };
    this.#held.set(id, held);
    try {
      const ending = await this.#carryOut(run, held);
      if (ending !== undefined) await this.#end(run, held, ending);
    } finally {
      this.#held.delete(id);
    }
  }

  /** Returns nothing for a run that goes on elsewhere or later. */
  async #carryOut(run: RunRow, held: Held): Promise<Ending | undefined> {
    const { catalog, definitions } = this.#options;
    const { signal } = held.abort;
    try {
      if (run.crashes > crashesMax) throw crashedTooOften(run);
      const definition = definitions[run.kind];
      assert.ok(definition !== undefined);
      const context = await openRunContext({
        catalog,
        hold: held,
        attempt: run.attempt,
        signal,
        lookAtLease: () => this.#watch(),
      });
      const output = await definition.execute(context, definition.input.parse(JSON.parse(run.input)));
      signal.throwIfAborted();
      return { state: 'succeeded', output };
    } catch (error) {
      // What goes wrong while a run is stopped says nothing about it.
      return this.#leave(run, held, signal.aborted ? signal.reason : error);
    }
  }

  async #leave(run: RunRow, held: Held, reason: unknown): Promise<Ending | undefined> {
    const { catalog, random } = this.#options;
    if (reason instanceof RunParked || reason instanceof RunFenced) return undefined;
    if (reason instanceof RunCancelled) return { state: 'cancelled' };
    if (reason instanceof WorkerStopping) {
      await requeueRun(catalog, held, { delayMs: 0, attempt: run.attempt });
      return undefined;
    }
    const error = failureOf(asError(reason));
    const attempt = run.attempt + 1;
    if (!error.mayPass || attempt >= run.attemptsMax) return { state: 'failed', error };
    const delayMs = Math.round(Math.min(retryMaxMs, retryFirstMs * 2 ** run.attempt) * (0.75 + random() / 2));
    await persistently(() => requeueRun(catalog, held, { delayMs, attempt, error }), held.abort.signal);
    return undefined;
  }

  async #end({ id, kind, application, input }: RunRow, held: Held, ending: Ending): Promise<void> {
    const { catalog, onEnded } = this.#options;
    const isOurs = await persistently(() => endRun(catalog, held, ending), held.abort.signal);
    if (isOurs) onEnded?.({ id, kind, application, input, state: ending.state });
  }
}

/** As it is stored. */
export interface RunFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly mayPass: boolean;
}

function failureOf(error: Error): RunFailure {
  const { message } = error;
  if (!isAppError(error)) {
    return { code: 'DEFECT', message, hint: 'Report it: this is a defect of Lifeboat.', mayPass: false };
  }
  return { code: error.code, message, hint: error.hint, mayPass: errorKinds[error.code].retry === 'later' };
}

function crashedTooOften({ crashes }: RunRow): AppError {
  return new AppError('RUN_GIVEN_UP', `its worker died ${crashes} times in a row at the same step`, {
    hint: 'See in the log of the worker why it ended (memory, perhaps), then begin the run anew.',
  });
}
