// Locks as restic honours them: one small file per process. Non-exclusive ones for work that adds or reads, exclusive
// ones for work that deletes. A lock that could not be refreshed in time stops its owner before others may ignore it.
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { currentUser } from '../base/current-user.ts';
import { AppError, errnoOf, isAppError, messageOf } from '../base/errors.ts';
import { formatAge } from '../base/duration.ts';
import { formatTime, parseTime } from './go-text.ts';
import type { LockId } from './ids.ts';
import { fileName } from './layout.ts';
import { closingSignal, isMissing, listIds, loadJson, sealJson, type Repository } from './repository.ts';

const minuteMs = 60_000;
export const refreshIntervalMs = 5 * minuteMs;
/** Without a refresh for this long the work stops: others call a lock stale after `staleAfterMs`. */
const refreshFailMs = 22.5 * minuteMs;
const staleAfterMs = 30 * minuteMs;
const settleDefaultMs = 200;

const lockSchema = z.looseObject({
  time: z.string(),
  exclusive: z.boolean().default(false),
  hostname: z.string().default(''),
  username: z.string().default(''),
  pid: z.number().default(0),
});

export interface LockFile {
  readonly id: LockId;
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** It is old, or its process is gone from this very machine. */
  readonly isStale: boolean;
  /** Its process is known to be gone, because it would run on this machine. */
  readonly isOrphan: boolean;
}

export interface Lock extends AsyncDisposable {
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal;
  /** Rejects with `LOCK_LOST` unless the lock file is still in the store. Called before what others must not see half done. */
  check(): Promise<void>;
  /** Throws `LOCK_LOST` if others may call the lock stale by now, as after a suspend. Cheap: asks only the clock. */
  checkTime(): void;
}

export interface LockOptions {
  readonly isExclusive: boolean;
  readonly signal: AbortSignal;
  /** How long to wait for others to finish; 0 fails at once. */
  readonly waitMs?: number;
}

export function isProcessGone(pid: number): boolean {
  // Our own number on another's lock: that process is gone and we were given its number (containers restart at pid 1).
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return errnoOf(error) === 'ESRCH';
  }
}

const hostNameOf = ({ lockSettings }: Repository): string => lockSettings?.hostName ?? hostname();

/** Locks this process holds, so that its own are not taken for those of an earlier process with the same number. */
const heldHere = new Set<string>();

/** restic asks whether a lock's owner still lives by sending it a real SIGHUP, which must not be the owner's end. */
const surviveProbe = (): void => undefined;

function hold(id: LockId): void {
  if (heldHere.size === 0) process.on('SIGHUP', surviveProbe);
  heldHere.add(id);
}

function letGo(id: LockId): void {
  if (heldHere.delete(id) && heldHere.size === 0) process.off('SIGHUP', surviveProbe);
}

/** All readable locks. A lock that vanishes while it is read is none. */
export async function readLocks(repository: Repository, signal: AbortSignal): Promise<LockFile[]> {
  const locks: LockFile[] = [];
  for (const id of await listIds(repository, 'locks', signal)) {
    try {
      locks.push(await readLock(repository, id, signal));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return locks;
}

/** Rejects with `REPOSITORY_DAMAGED` if the file is not a lock: nobody can tell then what it forbids. */
export async function readLock(repository: Repository, id: LockId, signal: AbortSignal): Promise<LockFile> {
  try {
    const json = await loadJson(repository, { kind: 'locks', id }, signal);
    return describeLock(repository, { id, json });
  } catch (error) {
    if (error instanceof AppError && error.code !== 'REPOSITORY_DAMAGED') throw error;
    const cause = error instanceof AppError ? error.cause : error;
    throw new AppError('REPOSITORY_DAMAGED', `the lock file ${fileName('locks', id)} is damaged: ${messageOf(cause)}`, {
      hint: "Make sure that no process works there, then run 'lifeboat repository unlock --remove-all'.",
      cause: error,
    });
  }
}

function describeLock(repository: Repository, file: { readonly id: LockId; readonly json: string }): LockFile {
  const { time, exclusive, hostname: host, username, pid } = lockSchema.parse(JSON.parse(file.json));
  const ageMs = repository.clock.now() - Number(parseTime(time) / 1_000_000n);
  const isOrphan = host === hostNameOf(repository) && !heldHere.has(file.id) && isProcessGone(pid);
  return {
    id: file.id,
    time,
    exclusive,
    hostname: host,
    username,
    pid,
    isOrphan,
    isStale: isOrphan || ageMs > staleAfterMs,
  };
}

export interface UnlockOptions {
  /** Also live ones, and damaged ones. */
  readonly removeAll: boolean;
  readonly signal: AbortSignal;
}

/** Removes stale locks, or all. Returns those removed. */
export async function unlock(repository: Repository, options: UnlockOptions): Promise<LockFile[]> {
  const removed: LockFile[] = [];
  for await (const lock of locksToRemove(repository, options)) {
    await repository.store.remove(fileName('locks', lock.id), { signal: options.signal });
    removed.push(lock);
  }
  return removed;
}

/** Those that `unlock` would remove; touches nothing. */
export async function* locksToRemove(repository: Repository, options: UnlockOptions): AsyncGenerator<LockFile> {
  for (const id of await listIds(repository, 'locks', options.signal)) {
    const lock = await readLock(repository, id, options.signal).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      if (isAppError(error, 'REPOSITORY_DAMAGED') && options.removeAll) return unreadableLock(id);
      throw error;
    });
    if (lock !== undefined && (options.removeAll || lock.isStale)) yield lock;
  }
}

const unreadableLock = (id: LockId): LockFile => ({
  id,
  time: '',
  exclusive: true,
  hostname: '',
  username: '',
  pid: 0,
  isStale: true,
  isOrphan: false,
});

async function refuseConflicts(repository: Repository, own: LockId | undefined, options: LockOptions): Promise<void> {
  for (const lock of await readLocks(repository, options.signal)) {
    if (lock.id === own || !(lock.exclusive || options.isExclusive)) continue;
    if (lock.isOrphan) {
      await repository.store.remove(fileName('locks', lock.id), { signal: options.signal });
      continue;
    }
    const ageMs = repository.clock.now() - Number(parseTime(lock.time) / 1_000_000n);
    const kind = lock.exclusive ? 'exclusively ' : '';
    throw new AppError(
      'REPOSITORY_LOCKED',
      `the repository is ${kind}locked by process ${lock.pid} of ${lock.username}@${lock.hostname} since ${formatAge(Math.max(0, ageMs))}`,
      {
        hint: lock.isStale
          ? "That lock is stale: make sure that no process works there, then run 'lifeboat repository unlock'."
          : 'Wait until that process has ended, or give --retry-lock 10m to wait for it.',
      },
    );
  }
}

/** Takes a lock; rejects with `REPOSITORY_LOCKED`. Locks of this host whose process is gone are cleared away. */
export async function acquireLock(repository: Repository, options: LockOptions): Promise<Lock> {
  const until = repository.clock.now() + (options.waitMs ?? 0);
  for (let pauseMs = 5000; ; pauseMs = Math.min(pauseMs * 2, minuteMs)) {
    try {
      return await tryLock(repository, options);
    } catch (error) {
      const isLocked = error instanceof AppError && error.code === 'REPOSITORY_LOCKED';
      if (!isLocked || repository.clock.now() + pauseMs > until) throw error;
      await sleep(pauseMs, undefined, { signal: options.signal });
    }
  }
}

async function tryLock(repository: Repository, options: LockOptions): Promise<Lock> {
  await refuseConflicts(repository, undefined, options);
  const written = await writeLock(repository, options.isExclusive, options.signal);
  const { id } = written;
  const lock = new HeldLock(repository, written, options);
  try {
    await sleep(repository.lockSettings?.settleMs ?? settleDefaultMs, undefined, { signal: options.signal });
    await refuseConflicts(repository, id, options);
    return lock;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

interface WrittenLock {
  readonly id: LockId;
  /** What the file says; others count its age from here, however long the writing took. */
  readonly timeMs: number;
}

async function writeLock(repository: Repository, exclusive: boolean, signal: AbortSignal): Promise<WrittenLock> {
  const { username, uid, gid } = currentUser();
  const owner = { ...(uid > 0 && { uid }), ...(gid > 0 && { gid }) };
  const timeMs = repository.clock.now();
  const time = formatTime(BigInt(timeMs) * 1_000_000n);
  const host = hostNameOf(repository);
  const json = JSON.stringify({ time, exclusive, hostname: host, username, pid: process.pid, ...owner });
  const { id, sealed } = sealJson(repository, { kind: 'locks', json });
  const name = fileName('locks', id);
  hold(id);
  try {
    await repository.store.put(name, [sealed], { signal });
  } catch (error) {
    letGo(id);
    // It may be there although the answer was lost, and would lock others out until it is stale. What went wrong is told.
    await repository.store.remove(name, { signal: closingSignal(repository) }).catch(() => undefined);
    throw error;
  }
  return { id, timeMs };
}

class HeldLock implements Lock {
  readonly #repository: Repository;
  readonly #isExclusive: boolean;
  readonly #workSignal: AbortSignal;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  /** Own files that are to go; one whose removal failed is tried again. */
  readonly #outdated = new Set<LockId>();
  #id: LockId;
  #refreshedAtMs: number;
  #refreshing: Promise<void> = Promise.resolve();

  constructor(repository: Repository, written: WrittenLock, options: LockOptions) {
    this.#repository = repository;
    this.#id = written.id;
    this.#isExclusive = options.isExclusive;
    this.#workSignal = options.signal;
    this.#refreshedAtMs = written.timeMs;
    this.#timer = setInterval(() => {
      this.#refreshing = this.#refreshing.then(() => this.#refresh());
    }, refreshIntervalMs);
    this.#timer.unref();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async check(): Promise<void> {
    await this.#refreshing;
    this.#lost.signal.throwIfAborted();
    const id = this.#id;
    try {
      // What was stored is listed even after an abort, which takes a check that the abort does not end.
      const work = this.#workSignal.aborted ? closingSignal(this.#repository) : this.#workSignal;
      await this.#repository.store.stat(fileName('locks', id), { signal: AbortSignal.any([this.#lost.signal, work]) });
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (id === this.#id) this.#lose('another process removed the lock file');
      // A refresh replaced it meanwhile.
      await this.check();
      return;
    }
    this.checkTime();
  }

  checkTime(): void {
    this.#lost.signal.throwIfAborted();
    if (this.#repository.clock.now() - this.#refreshedAtMs > refreshFailMs) this.#lose('it was not refreshed in time');
  }

  /** A new file first, then the old one's removal: at no moment is there none. */
  async #refresh(): Promise<void> {
    if (this.#lost.signal.aborted) return;
    const signal = AbortSignal.any([this.#lost.signal, AbortSignal.timeout(refreshIntervalMs)]);
    try {
      const old = this.#id;
      await this.#repository.store.stat(fileName('locks', old), { signal });
      const written = await writeLock(this.#repository, this.#isExclusive, signal);
      this.#id = written.id;
      this.#refreshedAtMs = written.timeMs;
      this.#outdated.add(old);
      await this.#removeOutdated(signal);
    } catch (error) {
      const isOver = isMissing(error) || this.#repository.clock.now() - this.#refreshedAtMs > refreshFailMs;
      if (isOver) this.#lost.abort(this.#error(messageOf(error)));
    }
  }

  #error(reason: string): AppError {
    return new AppError('LOCK_LOST', `the lock on ${this.#repository.store.properties.location} is lost: ${reason}`, {
      hint: 'Run the command again; nothing of this run was made visible after the lock was lost.',
    });
  }

  #lose(reason: string): never {
    const error = this.#error(reason);
    this.#lost.abort(error);
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    this.#outdated.add(this.#id);
    for (const id of this.#outdated) letGo(id);
    // The outcome of the work must not hide behind this: a lock that stays is an orphan to this machine and stale to all.
    await this.#removeOutdated(closingSignal(this.#repository)).catch(() => undefined);
  }

  /** Tries all of them, also where one can't be removed. */
  async #removeOutdated(signal: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    for (const id of this.#outdated) {
      try {
        await this.#repository.store.remove(fileName('locks', id), { signal });
        letGo(id);
        this.#outdated.delete(id);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
