// Receives the WAL of a server for as long as it is let: connects, comes back after every loss, and gives up only where a person
// must do something.
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, isAppError, type AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { systemRandom, type Random } from '../../../base/random.ts';
import type { JournalEvents, JournalTarget } from '../../journal.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { connectReplication } from '../protocol/connect-replication.ts';
import { replicationFailure } from '../protocol/replication-error.ts';
import { describeServer } from '../server-address.ts';
import { OpenBranch } from './open-branch.ts';
import { damagedOnce } from './receiver-findings.ts';
import { freshMemory, runSession, type ReceiverMemory, type SessionParts } from './receiver-session.ts';
import { watchSlot } from './slot-watch.ts';
import type { StreamIntakeTimes } from './stream-intake.ts';
import { WalDamage } from './wal-intake.ts';

export interface ReceiverTuning {
  readonly random?: Random;
  /** A server of another system than before is welcome. */
  readonly acceptsOtherSystem?: boolean;
  readonly times?: Partial<StreamIntakeTimes>;
  readonly retryFirstMs?: number;
  readonly retryMaxMs?: number;
  /** After how much silence a server counts as gone, and how often it is told how far we are. */
  readonly silenceMaxMs?: number;
  readonly statusIntervalMs?: number;
  readonly slotWatchMs?: number;
}

const timesDefault: StreamIntakeTimes = { syncMs: 1000, blockedMaxMs: 10_000, shutdownWaitMaxMs: 3000 };
const retryFirstDefaultMs = 250;
/** Until it is back, nothing holds what the server no longer needs: a restored one knows of no slot. */
const retryMaxDefaultMs = 5_000;
const slotWatchDefaultMs = 60_000;
/** About four seconds with the pauses between. */
const ownSlotFailuresMax = 5;
/** How long an abort waits for the server to be told how far we are. */
const closeMaxMs = 5000;

export interface ReceiveOptions {
  readonly source: PostgresOptions;
  readonly target: JournalTarget;
  readonly events: JournalEvents;
  readonly tuning?: ReceiverTuning;
}

export async function receive(options: ReceiveOptions, signal: AbortSignal): Promise<void> {
  const { source, events, tuning = {} } = options;
  const memory = freshMemory();
  const over = new AbortController();
  const watched = watchSlot(
    { source, events, everyMs: tuning.slotWatchMs ?? slotWatchDefaultMs, database: () => memory.database },
    AbortSignal.any([signal, over.signal]),
  );
  try {
    await receiveAgainAndAgain(options, memory, signal);
  } finally {
    over.abort();
    await watched;
  }
}

async function receiveAgainAndAgain(
  options: ReceiveOptions,
  memory: ReceiverMemory,
  signal: AbortSignal,
): Promise<void> {
  const { target, events, tuning = {} } = options;
  const { random = systemRandom, retryFirstMs = retryFirstDefaultMs, retryMaxMs = retryMaxDefaultMs } = tuning;
  await using branch = new OpenBranch(target, { acceptsOtherSystem: tuning.acceptsOtherSystem ?? false });
  const losses = new Losses(events);
  for (let failures = 0; !signal.aborted;) {
    memory.hasStreamed = false;
    try {
      await connectOnce(options, { branch, memory, onConnected: () => losses.forget() }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (branch.signal?.aborted === true) throw asError(branch.signal.reason);
      if (!mayPass(error, memory)) throw error;
      failures = memory.hasStreamed ? 1 : failures + 1;
      losses.tell(error, memory, failures);
      await pause(random() * Math.min(retryMaxMs, retryFirstMs * 2 ** (failures - 1)), signal);
    }
  }
}

/** Tells of each loss once, however often it is met again. */
class Losses {
  readonly #events: JournalEvents;
  #told: string | undefined;

  constructor(events: JournalEvents) {
    this.#events = events;
  }

  tell(error: AppError, memory: ReceiverMemory, failures: number): void {
    const finding = findingOf(error, memory, failures);
    if (finding === undefined) return;
    if (error instanceof WalDamage || this.#told !== error.message) this.#events.warn(finding);
    this.#told = error.message;
  }

  forget(): void {
    this.#told = undefined;
  }
}

interface ConnectionParts {
  readonly branch: OpenBranch;
  readonly memory: ReceiverMemory;
  readonly onConnected: () => void;
}

async function connectOnce(
  { source, events, tuning = {} }: ReceiveOptions,
  { branch, memory, onConnected }: ConnectionParts,
  signal: AbortSignal,
): Promise<void> {
  const address = await addressOf(source);
  const left = new AbortController();
  let isConnected = false;
  // A connection that stands is told how far we are before it ends.
  const onAbort = (): void => {
    const delayMs = isConnected ? closeMaxMs : 0;
    closing = setTimeout(() => left.abort(asError(signal.reason)), delayMs);
  };
  let closing: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { silenceMaxMs, statusIntervalMs } = tuning;
    const { databases, clock } = source;
    const options = { databases: [...databases, 'postgres', 'template1'], clock, silenceMaxMs, statusIntervalMs };
    await using connection = await connectReplication(address, options, left.signal);
    isConnected = true;
    events.note(`connected to ${describeServer(address)}, PostgreSQL ${connection.facts.version}`);
    memory.database = connection.facts.database;
    onConnected();
    const parts: SessionParts = {
      connection,
      slot: source.slot,
      branch,
      memory,
      events,
      clock,
      signal,
      times: { ...timesDefault, ...tuning.times },
      leave: (reason) => left.abort(reason),
    };
    await runSession(parts);
  } finally {
    memory.database = undefined;
    clearTimeout(closing);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Whether trying again can mend it; if not, a person must. */
function mayPass(error: unknown, memory: ReceiverMemory): error is AppError {
  if (!isAppError(error)) return false;
  if (isAppError(error, 'JOURNAL_FORKED', 'JOURNAL_FENCED', 'CONFIG_INVALID', 'SOURCE_UNSUPPORTED')) return false;
  // It worked before: a password is being changed, or a standby without our rights took over.
  if (memory.hasConnected) return true;
  return !isAppError(error, 'SOURCE_DENIED') && replicationFailure(error) !== 'no-free-slot';
}

/** What there is to tell of a loss, if there is. */
function findingOf(error: AppError, memory: ReceiverMemory, failures: number): Finding | undefined {
  if (error instanceof WalDamage) return damagedOnce(error.lsn, error.message);
  // The server may not know yet that the connection which we left is gone: no other receiver need be there.
  const mayBeOwn = memory.hasConnected && failures <= ownSlotFailuresMax;
  return mayBeOwn && replicationFailure(error) === 'slot-active' ? undefined : lossOf(error);
}

function lossOf(error: AppError): Finding {
  const isOurs = replicationFailure(error) === 'slot-active';
  return {
    aspect: 'journal',
    outcome: 'warning',
    message: isOurs ? `another receiver holds the replication slot: ${error.message}` : error.message,
    hint: error.hint,
  } as const;
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
