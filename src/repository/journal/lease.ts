// Who may write a journal. Each receiver that begins takes a lease with an epoch one higher than any before; whoever sees a
// higher one than its own has been taken over and stops. Epochs decide, never clocks: a time in a lease tells only whether
// its holder seems to live, so that a second receiver does not push a healthy first one aside by mistake.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { currentUser } from '../../base/current-user.ts';
import { formatAge } from '../../base/duration.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import { isProcessGone } from '../lock.ts';
import { damaged, isMissing, type Repository } from '../repository.ts';
import { putHeader, readWhole } from './object.ts';
import {
  compareRanks,
  epochMax,
  leaseFileName,
  leaseFolder,
  parseLeaseName,
  type JournalRank,
  type LeaseName,
} from './object-name.ts';

export interface JournalLease extends JournalRank, AsyncDisposable {
  /** Aborts with `JOURNAL_FENCED` once a look found that another took over. */
  readonly signal: AbortSignal;
  /** Looks whether a lease outranks this one. */
  isFenced(signal: AbortSignal): Promise<boolean>;
  /** Rejects with `JOURNAL_FENCED` if so. */
  check(signal: AbortSignal): Promise<void>;
  /** Says that the holder lives, then checks. Due every `leaseRefreshMs`; one that is missed only makes the holder look dead. */
  refresh(signal: AbortSignal): Promise<void>;
}

export interface LeaseOptions {
  /** What is received by one at a time: a component, with all its branches. */
  readonly family: string;
  /** Whether a holder that seems to live is pushed aside. */
  readonly takesOver: boolean;
  /** 16 hex digits; drawn anew if absent. */
  readonly writer?: string | undefined;
  /** The highest epoch that was met elsewhere, in names of the journal's objects say. */
  readonly seenEpoch?: number | undefined;
  readonly signal: AbortSignal;
}

export const leaseRefreshMs = 20_000;
const staleAfterMs = 6 * leaseRefreshMs;
const settleDefaultMs = 200;
/** A name alone is believed up to here: half of all epochs. */
const believedEpochMax = 0x7fff_ffff;

const bodySchema = z.object({
  hostname: z.string(),
  username: z.string(),
  pid: z.number(),
  refreshedAtMs: z.number(),
});

interface ReadLease extends LeaseName, z.infer<typeof bodySchema> {}

/** Leases that this process holds: its own number on another lease means that an earlier process had it. */
const heldHere = new Set<string>();

/** One higher than any epoch seen. Rejects with `JOURNAL_FENCED` if another holds it and may not be pushed aside, or was quicker. */
export async function acquireJournalLease(repository: Repository, options: LeaseOptions): Promise<JournalLease> {
  const { family, signal, takesOver, writer = randomBytes(8).toString('hex') } = options;
  const names = await listLeases(repository, family, signal);
  const newest = await newestLease(repository, { family, names }, signal);
  if (newest !== undefined && !takesOver && seemsAlive(repository, newest))
    throw heldByAnother(repository, family, newest);
  // Damaged ones count too, or the epochs would begin anew; not those so high that they would use the numbers up.
  const known = names.map(({ epoch }) => epoch).filter((epoch) => epoch <= believedEpochMax);
  const epoch = Math.max(newest?.epoch ?? 0, options.seenEpoch ?? 0, ...known) + 1;
  if (epoch > epochMax) throw new Error('there are no more epochs');
  const lease = new HeldLease(repository, family, { epoch, writer });
  try {
    await lease.begin(signal);
    return lease;
  } catch (error) {
    await lease.withdraw();
    throw error;
  }
}

export interface SeenLease {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly refreshedAtMs: number;
  /** Let go, or its process is gone, or it was not refreshed for too long. */
  readonly isOver: boolean;
}

/** Who received last, or does; undefined if nobody ever did. */
export async function lookAtLease(
  repository: Repository,
  family: string,
  signal: AbortSignal,
): Promise<SeenLease | undefined> {
  const names = await listLeases(repository, family, signal);
  const lease = await newestLease(repository, { family, names }, signal);
  if (lease === undefined) return undefined;
  const { hostname: host, username, pid, refreshedAtMs } = lease;
  return { hostname: host, username, pid, refreshedAtMs, isOver: !seemsAlive(repository, lease) };
}

/** What is damaged, renamed or forged is no lease; `verify` names it. */
async function newestLease(
  repository: Repository,
  { family, names }: { readonly family: string; readonly names: readonly LeaseName[] },
  signal: AbortSignal,
): Promise<ReadLease | undefined> {
  for (const name of names) {
    const lease = await readLease(repository, { family, name }, signal);
    if (lease !== undefined) return lease;
  }
  return undefined;
}

/** Highest rank first. */
async function listLeases(repository: Repository, family: string, signal: AbortSignal): Promise<LeaseName[]> {
  const found = repository.store.list(leaseFolder(repository, family), { signal });
  const names = await Array.fromAsync(found, ({ name }) => parseLeaseName(name));
  // Of the two names of one lease the released one counts.
  return names
    .flatMap((name) => name ?? [])
    .toSorted((left, right) => compareRanks(right, left) || Number(right.isReleased) - Number(left.isReleased));
}

async function readLease(
  repository: Repository,
  { family, name }: { readonly family: string; readonly name: LeaseName },
  signal: AbortSignal,
): Promise<ReadLease | undefined> {
  try {
    return await openLease(repository, { family, name }, signal);
  } catch (error) {
    if (isMissing(error) || isAppError(error, 'REPOSITORY_DAMAGED')) return undefined;
    throw error;
  }
}

/** Rejects with `REPOSITORY_DAMAGED` if it is none. */
export async function openLease(
  repository: Repository,
  { family, name }: { readonly family?: string; readonly name: LeaseName },
  signal: AbortSignal,
): Promise<ReadLease> {
  const { subject, body } = await readWhole(repository, { kind: 'lease', name: name.name, subject: family }, signal);
  try {
    if (name.name !== leaseFolder(repository, subject) + leaseFileName(name)) throw new Error('its family is another');
    return { ...name, ...bodySchema.parse(body) };
  } catch (error) {
    throw damaged(name.name, error);
  }
}

const hostNameOf = ({ lockSettings }: Repository): string => lockSettings?.hostName ?? hostname();

function seemsAlive(repository: Repository, lease: ReadLease): boolean {
  if (lease.isReleased) return false;
  if (lease.hostname === hostNameOf(repository) && !heldHere.has(lease.writer) && isProcessGone(lease.pid))
    return false;
  return Math.abs(repository.clock.now() - lease.refreshedAtMs) < staleAfterMs;
}

function heldByAnother(repository: Repository, family: string, lease: ReadLease): AppError {
  const { pid, username, hostname: host, refreshedAtMs } = lease;
  const age = formatAge(Math.max(0, repository.clock.now() - refreshedAtMs));
  return new AppError(
    'JOURNAL_FENCED',
    `the journal of ${family} is received by process ${pid} of ${username}@${host}, last heard of ${age} ago`,
    { hint: 'Stop that receiver first; one that died is passed over two minutes after its last sign of life.' },
  );
}

class HeldLease implements JournalLease {
  readonly epoch: number;
  readonly writer: string;
  readonly #repository: Repository;
  readonly #family: string;
  readonly #fenced = new AbortController();

  constructor(repository: Repository, family: string, { epoch, writer }: JournalRank) {
    this.#repository = repository;
    this.#family = family;
    this.epoch = epoch;
    this.writer = writer;
    heldHere.add(writer);
  }

  get signal(): AbortSignal {
    return this.#fenced.signal;
  }

  async isFenced(signal: AbortSignal): Promise<boolean> {
    if (this.#fenced.signal.aborted) return true;
    for (const name of await listLeases(this.#repository, this.#family, signal)) {
      if (compareRanks(name, this) <= 0) break;
      const lease = await readLease(this.#repository, { family: this.#family, name }, signal);
      if (lease === undefined) continue;
      this.#fenced.abort(takenOver(this.#family, lease));
      return true;
    }
    return false;
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.isFenced(signal);
    this.#fenced.signal.throwIfAborted();
  }

  /** Removes nothing yet: until it is sure to stay, the lease before it must remember the epoch. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#write(false, signal);
    // Who looked before this lease was there has written its own after this pause, and the higher of both stays.
    await sleep(this.#repository.lockSettings?.settleMs ?? settleDefaultMs, undefined, { signal });
    await this.check(signal);
  }

  async refresh(signal: AbortSignal): Promise<void> {
    this.#fenced.signal.throwIfAborted();
    await this.#write(false, signal);
    await this.check(signal);
    await this.#removeOutranked(signal);
  }

  async #write(isReleased: boolean, signal: AbortSignal): Promise<void> {
    const { epoch, writer } = this;
    const { username } = currentUser();
    const refreshedAtMs = this.#repository.clock.now();
    const body = { hostname: hostNameOf(this.#repository), username, pid: process.pid, refreshedAtMs };
    const object = { kind: 'lease' as const, name: this.#name(isReleased), subject: this.#family };
    await putHeader(this.#repository, { ...object, rank: { epoch, writer }, body }, signal);
  }

  #name(isReleased: boolean): string {
    return leaseFolder(this.#repository, this.#family) + leaseFileName({ ...this.#rank, isReleased });
  }

  get #rank(): JournalRank {
    return { epoch: this.epoch, writer: this.writer };
  }

  /** The highest stays for ever, also when it was let go: it remembers the epoch. */
  async #removeOutranked(signal: AbortSignal): Promise<void> {
    for (const name of await listLeases(this.#repository, this.#family, signal)) {
      if (compareRanks(name, this) >= 0) continue;
      try {
        await this.#repository.store.remove(name.name, { signal });
      } catch (error) {
        // Where nothing may be deleted the listing grows longer, and that is all.
        if (!isAppError(error, 'STORE_DENIED', 'STORE_READ_ONLY')) throw error;
        return;
      }
    }
  }

  /** Of one that was never given out. It may be there although the answer was lost; then it looks dead by and by. */
  async withdraw(): Promise<void> {
    heldHere.delete(this.writer);
    await this.#repository.store.remove(this.#name(false)).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    heldHere.delete(this.writer);
    try {
      const signal = AbortSignal.timeout(leaseRefreshMs);
      if (!this.#fenced.signal.aborted) await this.#write(true, signal);
      await this.#repository.store.remove(this.#name(false), { signal });
    } catch {
      // The outcome of the work must not hide behind this: without it the lease only looks alive for a while.
    }
  }
}

function takenOver(family: string, { pid, username, hostname: host, epoch }: ReadLease): AppError {
  return new AppError(
    'JOURNAL_FENCED',
    `the journal of ${family} was taken over by process ${pid} of ${username}@${host} (epoch ${epoch})`,
    { hint: 'Let only one receiver run for each component; this one may be started again once the other has ended.' },
  );
}
