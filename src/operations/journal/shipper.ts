// Brings what is durable in a spool to one repository, for as long as it runs: complete segments at once, the open one in parts at
// an interval. Each repository has a shipper of its own, so that one which is slow or away holds up no other.
import type { Clock } from '../../base/clock.ts';
import { AppError, asError, isAppError, messageOf } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { formatDuration } from '../../base/duration.ts';
import { FrameSealer } from '../../repository/journal/frame-sealer.ts';
import { acquireJournalLease, leaseRefreshMs, type JournalLease } from '../../repository/journal/lease.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalEvents, JournalPosition } from '../../sources/journal.ts';
import { untilAborted, type Sleep } from '../../storage/interruption.ts';
import { BranchShipping, type Shipped } from './branch-shipping.ts';
import { DiskFailure } from './segment-file.ts';
import type { Spool } from './spool.ts';
import type { SpoolBranch, SpooledSegment } from './spool-branch.ts';

export interface JournalRepository {
  /** For people, and as a key of the status. */
  readonly name: string;
  /** Opens it; called again after a failure. */
  open(signal: AbortSignal): Promise<Repository>;
}

export interface ShipperOptions {
  /** What is received by one at a time: a component with all its branches. */
  readonly family: string;
  /** Whether a receiver that seems to live is pushed aside. */
  readonly takesOver: boolean;
  readonly intervalMs: number;
  /** How often it looks whether another took over; `leaseRefreshMs` if absent. */
  readonly leaseCheckMs?: number | undefined;
  /** True where what is told to be shipped must be safe from being passed over: each pass then ends with a look at the lease. */
  readonly isAcknowledged: boolean;
  readonly events: Pick<JournalEvents, 'note' | 'warn'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  /** It may hold more than before: what it shipped, or what it found there when it was reached again. */
  onPass(): void;
  /** It can't go on: another took over, the journal forked, or a fault of the program. */
  onFatal(error: Error): void;
}

export interface ShipperStatus {
  readonly name: string;
  /** `away`: the last attempt failed, and it is tried again. */
  readonly state: 'connecting' | 'shipping' | 'idle' | 'away' | 'stopped';
  readonly lastShippedAtMs: number | undefined;
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
  /** Durable in the spool and not yet in the repository. */
  readonly backlogBytes: number;
  /** Per branch, up to where all is in the repository. */
  readonly ends: ReadonlyMap<string, JournalPosition>;
}

const retryFirstMs = 500;
const retryMaxMs = 30_000;
/** A stretch that takes longer hangs; it is given up and tried again. */
const passMaxMs = 15 * 60_000;

export class Shipper implements AsyncDisposable {
  readonly name: string;
  readonly #place: JournalRepository;
  readonly #spool: Spool;
  readonly #options: ShipperOptions;
  readonly #stop = new AbortController();
  readonly #tried = Promise.withResolvers<void>();
  readonly #connected = Promise.withResolvers<Repository>();
  readonly #branches = new Map<string, BranchShipping>();
  /** What was told to be shipped, per branch: where a look at the lease is due first, it lags behind. */
  readonly #ends = new Map<string, JournalPosition>();
  readonly #running: Promise<void>;
  #repository: Repository | undefined;
  #lease: JournalLease | undefined;
  #sealer: FrameSealer | undefined;
  /** Something is due before the interval ends. */
  #wake = Promise.withResolvers<void>();
  /** Somebody waits: a try that failed is repeated at once. */
  #hurry = Promise.withResolvers<void>();
  #state: ShipperStatus['state'] = 'connecting';
  #lastError: ShipperStatus['lastError'];
  #lastShippedAtMs: number | undefined;
  #partsAtMs = -Infinity;
  #flushes: readonly { readonly done: () => void }[] = [];

  constructor(place: JournalRepository, spool: Spool, options: ShipperOptions) {
    this.name = place.name;
    this.#place = place;
    this.#spool = spool;
    this.#options = options;
    this.#connected.promise.catch(() => undefined); // Not everybody waits for it.
    this.#running = Promise.all([this.#run(), this.#keepLease()]).then(() => undefined);
  }

  /** Resolves after the first attempt to reach the repository, whatever came of it. */
  get tried(): Promise<void> {
    return this.#tried.promise;
  }

  /** Resolves once the repository was reached; rejects if that will not be any more. */
  get connected(): Promise<Repository> {
    return this.#connected.promise;
  }

  get repository(): Repository | undefined {
    return this.#repository;
  }

  /** Up to where all is in the repository, and may be told to the server. */
  endOf(lineage: string): JournalPosition | undefined {
    return this.#ends.get(lineage);
  }

  holds(lineage: string, segment: SpooledSegment): boolean {
    return this.#branches.get(lineage)?.holds(segment) ?? false;
  }

  status(): ShipperStatus {
    const backlog = this.#spool.branches().flatMap((branch) => {
      return branch.segments().filter((segment) => !this.holds(branch.branch.lineage, segment));
    });
    return {
      name: this.name,
      state: this.#state,
      lastShippedAtMs: this.#lastShippedAtMs,
      lastError: this.#lastError,
      backlogBytes: backlog.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      ends: new Map(this.#ends),
    };
  }

  /** A segment is complete: it goes now, not at the next interval. */
  nudge(): void {
    this.#wake.resolve();
  }

  /** Ships all that is durable now, the open segment too; resolves once it is in the repository. */
  async flush(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushes = [...this.#flushes, { done: resolve }];
    this.nudge();
    this.#hurry.resolve();
    await untilAborted(promise, AbortSignal.any([signal, this.#stop.signal]));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted;) {
      this.#wake = Promise.withResolvers();
      this.#hurry = Promise.withResolvers();
      try {
        const isDone = await this.#pass();
        if (failures > 0) this.#options.events.note(`the journal reaches repository ${this.name} again`);
        failures = 0;
        if (!isDone) continue;
        this.#state = 'idle';
        await this.#wait(this.#partsDueInMs(), this.#wake.promise);
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        if (isFatal(error)) return this.#end(asError(error));
        failures += 1;
        this.#fail(error, failures);
        const delayMs = this.#options.random() * Math.min(retryMaxMs, retryFirstMs * 2 ** (failures - 1));
        await this.#wait(delayMs, this.#hurry.promise);
      }
    }
    this.#state = 'stopped';
  }

  async #wait(delayMs: number, sooner?: Promise<void>): Promise<void> {
    if (delayMs <= 0) return;
    const timer = new AbortController();
    const slept = this.#options.sleep(delayMs, AbortSignal.any([this.#stop.signal, timer.signal]));
    try {
      await Promise.race(sooner === undefined ? [slept] : [slept, sooner]);
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      timer.abort();
      await slept.catch(() => undefined);
    }
  }

  /** A clock that was set back must not delay them. */
  #partsDueInMs(): number {
    const { clock, intervalMs } = this.#options;
    const sinceMs = clock.now() - this.#partsAtMs;
    return sinceMs < 0 ? 0 : Math.max(0, intervalMs - sinceMs);
  }

  /** Returns false if there is more to ship at once. */
  async #pass(): Promise<boolean> {
    using deadline = makeDeadline(passMaxMs, `repository ${this.name} does not answer`);
    const signal = AbortSignal.any([this.#stop.signal, deadline.signal]);
    const { repository, lease, sealer } = await this.#connect(signal);
    lease.signal.throwIfAborted();
    this.#state = 'shipping';
    const { clock, isAcknowledged } = this.#options;
    const flushes = this.#flushes;
    const withParts = flushes.length > 0 || this.#partsDueInMs() === 0;
    const startedAtMs = clock.now();
    const parts = { repository, lease, sealer, signal: AbortSignal.any([signal, lease.signal]) };
    const shipped = await this.#shipAll(parts, withParts);
    if (shipped.isDone && withParts) this.#partsAtMs = startedAtMs;
    if (shipped.shippedBytes > 0) {
      if (isAcknowledged) await lease.check(parts.signal);
      this.#lastShippedAtMs = clock.now();
    }
    this.#tellEnds();
    this.#lastError = undefined;
    this.#options.onPass();
    if (!shipped.isDone) return false;
    for (const { done } of flushes) done();
    this.#flushes = this.#flushes.filter((flush) => !flushes.includes(flush));
    return true;
  }

  /** Older branches first; those behind wait until they are through. */
  async #shipAll(parts: Connection & { readonly signal: AbortSignal }, withParts: boolean): Promise<Shipped> {
    let shippedBytes = 0;
    for (const branch of this.#spool.branches()) {
      const shipping = await this.#shippingOf(branch, parts);
      const shipped = await shipping.ship({ withParts, signal: parts.signal });
      shippedBytes += shipped.shippedBytes;
      if (!shipped.isDone) return { shippedBytes, isDone: false };
    }
    return { shippedBytes, isDone: true };
  }

  async #shippingOf(
    branch: SpoolBranch,
    parts: Connection & { readonly signal: AbortSignal },
  ): Promise<BranchShipping> {
    const { lineage } = branch.branch;
    const found = this.#branches.get(lineage);
    if (found !== undefined) return found;
    const { lease, sealer, signal } = parts;
    const { family } = this.#options;
    const opened = await BranchShipping.open(parts.repository, { branch, family, lease, sealer, signal });
    this.#branches.set(lineage, opened);
    return opened;
  }

  #tellEnds(): void {
    for (const [lineage, shipping] of this.#branches) {
      const end = shipping.end();
      if (end !== undefined) this.#ends.set(lineage, end);
    }
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    try {
      this.#repository ??= await this.#open(signal);
      const repository = this.#repository;
      this.#sealer ??= new FrameSealer(repository);
      const { family, takesOver } = this.#options;
      const { writer } = this.#spool;
      if (this.#lease === undefined) {
        const seenEpoch = this.#spool.seenEpoch;
        this.#lease = await acquireJournalLease(repository, { family, takesOver, writer, seenEpoch, signal });
        await this.#spool.rememberEpoch(this.#lease.epoch);
      }
      this.#connected.resolve(repository);
      return { repository, lease: this.#lease, sealer: this.#sealer };
    } finally {
      this.#tried.resolve();
    }
  }

  /** One that comes too late is closed again. */
  async #open(signal: AbortSignal): Promise<Repository> {
    const opening = this.#place.open(signal);
    let isWanted = true;
    opening.then(
      (late) => (isWanted ? undefined : late.store[Symbol.asyncDispose]()),
      () => undefined, // Told below.
    );
    try {
      return await untilAborted(opening, signal);
    } catch (error) {
      isWanted = false;
      throw error;
    }
  }

  /** A lease that can't be refreshed only makes its holder look dead; one that was outranked ends everything. */
  async #keepLease(): Promise<void> {
    const { signal } = this.#stop;
    const everyMs = this.#options.leaseCheckMs ?? leaseRefreshMs;
    while (!signal.aborted) {
      await this.#wait(everyMs);
      const lease = this.#lease;
      if (lease === undefined || signal.aborted) continue;
      try {
        using deadline = makeDeadline(everyMs + 1000, `the lease in repository ${this.name} could not be refreshed`);
        await lease.refresh(AbortSignal.any([signal, deadline.signal]));
      } catch (error) {
        if (isFatal(error)) return this.#end(asError(error));
      }
    }
  }

  #fail(error: unknown, failures: number): void {
    const { clock, events } = this.#options;
    this.#state = 'away';
    this.#lastError = { message: messageOf(error), atMs: clock.now() };
    // What was under way may be there or not: a fresh look tells.
    this.#branches.clear();
    if (failures > 1) return;
    events.warn({
      aspect: 'journal',
      outcome: 'warning',
      message: `repository ${this.name} does not take the journal: ${messageOf(error)}`,
      hint: isAppError(error) ? error.hint : 'It is tried again; the spool keeps the journal meanwhile.',
    });
  }

  #end(error: Error): void {
    if (this.#stop.signal.aborted) return;
    this.#lastError = { message: error.message, atMs: this.#options.clock.now() };
    this.#state = 'stopped';
    this.#connected.reject(error);
    this.#stop.abort(error);
    this.#options.onFatal(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = new AppError('INTERRUPTED', `shipping to repository ${this.name} was stopped`, {
      hint: 'Start the receiver again; the spool keeps what is not shipped.',
    });
    this.#stop.abort(stopped);
    this.#connected.reject(stopped);
    await this.#running;
    // One that can't be released looks dead after a while.
    await Promise.resolve(this.#lease?.[Symbol.asyncDispose]()).catch(() => undefined);
    await this.#sealer?.[Symbol.asyncDispose]();
    await this.#repository?.store[Symbol.asyncDispose]();
  }
}

/** What trying again can't mend: a person must, the spool's disk failed, or it is a fault of the program. */
function isFatal(error: unknown): boolean {
  return !isAppError(error) || error instanceof DiskFailure || isAppError(error, 'JOURNAL_FENCED', 'JOURNAL_FORKED');
}

interface Connection {
  readonly repository: Repository;
  readonly lease: JournalLease;
  readonly sealer: FrameSealer;
}

function makeDeadline(delayMs: number, fact: string): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const late = (): void => {
    const hint = 'Look at the repository and the network to it; it is tried again.';
    controller.abort(new AppError('TIMED_OUT', `${fact} within ${formatDuration(delayMs)}`, { hint }));
  };
  const timer = setTimeout(late, delayMs);
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}
