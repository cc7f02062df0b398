// Where the journal of a component goes: a spool on the local disk, and from there every repository. Puts spool, shippers and sink
// together and keeps the spool clear of what all repositories hold.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { AppError, asError, isAppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalBranch, JournalEvents, JournalSink, JournalTarget, KeptBranch } from '../../sources/journal.ts';
import { throwIfAborted, untilAborted, type Sleep } from '../../storage/interruption.ts';
import { readJournals } from './reader.ts';
import { catchUp, lookUp, type HeldElsewhere } from './resume.ts';
import { comparePositions } from './positions.ts';
import { DiskFailure } from './segment-file.ts';
import { Shipper, type JournalRepository, type ShipperStatus } from './shipper.ts';
import { SpoolSink, type Acknowledge } from './sink.ts';
import { Spool } from './spool.ts';
import type { SpoolBranch } from './spool-branch.ts';

export interface SpooledJournalOptions {
  /** What is received by one at a time: a component with all its branches. */
  readonly family: string;
  readonly spool: { readonly folder: string; readonly maxBytes: number };
  /** Every one gets all; what one lacks stays in the spool. */
  readonly repositories: readonly JournalRepository[];
  readonly acknowledge: Acknowledge;
  /** Between two parts of the open segment; `intervalDefaultMs` if absent. */
  readonly intervalMs?: number | undefined;
  /** Whether a receiver elsewhere that seems to live is pushed aside. */
  readonly takesOver: boolean;
  /** How often the leases are looked at; what they ask for if absent. */
  readonly leaseCheckMs?: number | undefined;
  /** How long closing waits for the repositories to take the rest. */
  readonly closeMaxMs?: number | undefined;
  /** How long a branch that is opened waits for repositories that it can do without. */
  readonly lookMaxMs?: number | undefined;
  readonly events: Pick<JournalEvents, 'note' | 'warn'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
}

export interface JournalStatus {
  readonly spool: {
    readonly usedBytes: number;
    readonly maxBytes: number;
    readonly waitsFor: 'limit' | 'disk' | undefined;
  };
  readonly branches: readonly KeptBranch[];
  readonly repositories: readonly ShipperStatus[];
}

export const intervalDefaultMs = 5000;
const closeMaxDefaultMs = 10_000;
/** A spool that knows where it stands waits no longer for the repositories. */
const lookMaxDefaultMs = 10_000;
const lookAgainMs = 1000;
/** At most so long after it was taken in a byte is durable in the spool, even if the source does not ask for it. */
const syncMaxMs = 1000;

export class SpooledJournal implements JournalTarget, AsyncDisposable {
  readonly #options: SpooledJournalOptions;
  readonly #spool: Spool;
  readonly #shippers: readonly Shipper[];
  readonly #stopped = new AbortController();
  readonly #closing = new AbortController();
  readonly #syncing: Promise<void>;
  #sink: { readonly spooled: SpoolBranch } | undefined;
  #working: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  private constructor(options: SpooledJournalOptions, spool: Spool) {
    assert.ok(options.repositories.length > 0, 'a journal goes to one repository at least');
    this.#options = options;
    this.#spool = spool;
    const shipping = {
      ...options,
      intervalMs: options.intervalMs ?? intervalDefaultMs,
      isAcknowledged: options.acknowledge === 'repository',
      onPass: () => void this.exclusively(() => this.#clear()).catch((error: unknown) => this.#stopUnlessFull(error)),
      onFatal: (error: Error) => this.#stop(error),
    };
    this.#shippers = options.repositories.map((place) => new Shipper(place, spool, shipping));
    this.#syncing = this.#syncRegularly();
  }

  /** Rejects with `REPOSITORY_LOCKED` if another process has the spool. Waits for no repository. */
  static async open(options: SpooledJournalOptions): Promise<SpooledJournal> {
    const { spool, events, clock, random, sleep } = options;
    const opened = await Spool.open({ ...spool, events, clock, random, sleep });
    for (const { branch, lostBytes } of opened.branches()) {
      if (lostBytes === 0) continue;
      events.warn({
        aspect: 'journal spool',
        outcome: 'warning',
        message: `the disk of the spool lost ${lostBytes} bytes of ${branch.lineage} that were durable`,
        hint: 'Look at the kernel log for disk errors. The server is asked for them again; if it has them no more, a gap is recorded.',
      });
    }
    return new SpooledJournal(options, opened);
  }

  /** Aborts once the receiver may not go on. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  status(): JournalStatus {
    const { usedBytes, maxBytes, waitsFor } = this.#spool.room;
    return {
      spool: { usedBytes, maxBytes, waitsFor },
      branches: this.#spooledBranches(),
      repositories: this.#shippers.map((shipper) => shipper.status()),
    };
  }

  async branches(signal: AbortSignal): Promise<readonly KeptBranch[]> {
    throwIfAborted(signal);
    const elsewhere = await this.#look(
      (repository, within) => readJournals(repository, { family: this.#options.family }).branches(within),
      signal,
    );
    return mergeBranches([...elsewhere, this.#spooledBranches()]);
  }

  #spooledBranches(): KeptBranch[] {
    return this.#spool.branches().flatMap(({ branch, start, durableEnd }) => {
      return start === undefined || durableEnd === undefined ? [] : [{ ...branch, start, end: durableEnd }];
    });
  }

  async open(branch: JournalBranch, signal: AbortSignal): Promise<JournalSink> {
    throwIfAborted(signal);
    this.#stopped.signal.throwIfAborted();
    assert.ok(this.#sink === undefined, 'the earlier branch is closed');
    // Before the spool knows of the branch: one that is new waits until it knows what the repositories hold.
    const found = await this.#look((repository, within) => lookUp(repository, branch.lineage, within), signal);
    const spooled = await this.#spool.open(branch, signal);
    refuseOther(spooled.branch, branch);
    const held = chooseHeld(found, this.#options.acknowledge);
    if (held !== undefined) await this.exclusively(() => catchUp(spooled, held, signal));
    this.#sink = { spooled };
    return new SpoolSink({
      spooled,
      shippers: this.#shippers,
      acknowledge: this.#options.acknowledge,
      signal: this.#stopped.signal,
      exclusively: (work) => this.exclusively(work),
      reader: () => {
        const repository = this.#shippers.find((shipper) => shipper.repository !== undefined)?.repository;
        return repository && readJournals(repository);
      },
      onFailure: (error) => {
        if (error instanceof DiskFailure) this.#stop(error);
      },
      onClosed: () => (this.#sink = undefined),
    });
  }

  /**
   * Asks the repositories. A spool that has a journal asks those that can be reached soon. A new one must know what one of them
   * holds, or it would take the server's first byte for the journal's; it waits a while for the others.
   */
  async #look<T>(ask: (repository: Repository, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T[]> {
    const within = AbortSignal.any([signal, this.#stopped.signal, this.#closing.signal]);
    const isNew = this.#spool.branches().length === 0;
    const soon = AbortSignal.any([within, AbortSignal.timeout(this.#options.lookMaxMs ?? lookMaxDefaultMs)]);
    for (;;) {
      await untilAborted(Promise.all(this.#shippers.map(({ tried }) => tried)), soon).catch(ignoreTimeout);
      if (isNew) await untilAborted(Promise.any(this.#shippers.map(({ connected }) => connected)), within);
      throwIfAborted(within);
      const reached = this.#shippers.flatMap(({ repository }) => repository ?? []);
      const asked = await Promise.allSettled(reached.map((repository) => ask(repository, within)));
      throwIfAborted(within);
      const answers = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const failures = asked.flatMap((each) => (each.status === 'rejected' ? [asError(each.reason)] : []));
      const fault = failures.find((failure) => !isAppError(failure));
      if (fault !== undefined) throw fault;
      const isEnough = answers.length === this.#shippers.length || (answers.length > 0 && soon.aborted);
      if (isEnough || !isNew) return answers;
      await this.#options.sleep(lookAgainMs, within);
    }
  }

  /** Ships all that was taken in; resolves once every repository has it. */
  async flush(signal: AbortSignal): Promise<void> {
    await this.#sink?.spooled.sync(signal);
    await Promise.all(this.#shippers.map((shipper) => shipper.flush(signal)));
  }

  /** One after another: what looks at the segments of the spool, and what removes some. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#working.then(work);
    this.#working = next.catch(() => undefined); // Told to its caller.
    return next;
  }

  /** Removes segments that every repository holds. The newest one tells where the journal goes on, also without a repository. */
  async #clear(): Promise<void> {
    const branches = this.#spool.branches();
    for (const spooled of branches) {
      const isLeft = spooled !== branches.at(-1) && spooled !== this.#sink?.spooled;
      const segments = spooled.segments();
      const newest = segments.at(-1);
      for (const segment of segments) {
        const isWanted = segment === newest && !(isLeft && segment.isSealed);
        const { lineage } = spooled.branch;
        if (isWanted || !this.#shippers.every((shipper) => shipper.holds(lineage, segment))) break;
        await spooled.remove(segment.segment);
      }
    }
  }

  async #syncRegularly(): Promise<void> {
    const everyMs = Math.min(syncMaxMs, (this.#options.intervalMs ?? intervalDefaultMs) / 2);
    const until = AbortSignal.any([this.#closing.signal, this.#stopped.signal]);
    try {
      for (;;) {
        await this.#options.sleep(everyMs, until);
        await this.#sink?.spooled.sync(until);
      }
    } catch (error) {
      if (!until.aborted) this.#stop(error);
    }
  }

  /** What could not be removed for want of room is removed after the next pass. */
  #stopUnlessFull(error: unknown): void {
    if (!isAppError(error, 'SPOOL_FULL')) this.#stop(error);
  }

  #stop(error: unknown): void {
    this.#stopped.abort(asError(error));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { closeMaxMs = closeMaxDefaultMs } = this.#options;
    const isGood = !this.#stopped.signal.aborted;
    this.#closing.abort(closed());
    await this.#syncing;
    try {
      if (isGood && closeMaxMs > 0)
        await this.flush(AbortSignal.any([AbortSignal.timeout(closeMaxMs), this.#stopped.signal]));
    } catch (error) {
      if (!isAppError(error)) throw error;
      this.#options.events.note(`not all of the journal was shipped when it was closed: ${error.message}`);
    } finally {
      this.#stopped.abort(closed());
      await Promise.all(this.#shippers.map((shipper) => shipper[Symbol.asyncDispose]()));
      await this.#working;
      await this.#spool[Symbol.asyncDispose]();
    }
  }
}

function closed(): AppError {
  return new AppError('INTERRUPTED', 'the journal was closed', {
    hint: 'Start the receiver again; the spool keeps what is not shipped.',
  });
}

function ignoreTimeout(error: unknown): void {
  if (!isAppError(error, 'TIMED_OUT')) throw error;
}

/**
 * Where to go on if the spool does not know. Acknowledged by the spool, the server may have forgotten all that any repository
 * holds: the furthest one. Acknowledged by the repositories, it still has what one of them lacks: the least of them.
 */
function chooseHeld(
  found: readonly (HeldElsewhere | undefined)[],
  acknowledge: Acknowledge,
): HeldElsewhere | undefined {
  const ordered = found
    .filter((held) => held !== undefined)
    .toSorted((left, right) => comparePositions(left.end, right.end));
  if (acknowledge === 'spool') return ordered.at(-1);
  return ordered.length < found.length ? undefined : ordered[0];
}

/** Lists are in order each; what the later ones say about the order holds. */
function mergeBranches(lists: readonly (readonly KeptBranch[])[]): KeptBranch[] {
  const merged = new Map<string, KeptBranch>();
  for (const branch of lists.flat()) {
    const before = merged.get(branch.lineage) ?? branch;
    merged.delete(branch.lineage);
    merged.set(branch.lineage, {
      ...branch,
      start: comparePositions(before.start, branch.start) < 0 ? before.start : branch.start,
      end: comparePositions(before.end, branch.end) > 0 ? before.end : branch.end,
    });
  }
  return [...merged.values()];
}

function refuseOther(kept: JournalBranch, given: JournalBranch): void {
  if (isDeepStrictEqual(kept.about, given.about)) return;
  throw new AppError('JOURNAL_FORKED', `the spool keeps another description of ${given.lineage}`, {
    hint: 'Find out which server is the right one; give the other a component of its own.',
  });
}
