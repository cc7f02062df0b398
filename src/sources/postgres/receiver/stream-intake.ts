// Runs one WAL stream into a journal: takes what comes, makes it durable at least every second, and tells the server what it may
// forget. A server that shuts down waits for that, so it is told at once when it asks, and left when we can't tell.
import type { Clock } from '../../../base/clock.ts';
import { AppError, asError } from '../../../base/errors.ts';
import type { JournalEvents, JournalSink } from '../../journal.ts';
import type { WalData, Keepalive } from '../protocol/replication-messages.ts';
import type { WalStream, WalStreamEnd } from '../protocol/wal-stream.ts';
import { lsnOf, positionOf, type Lsn } from '../wal/lsn.ts';
import { flushPosition } from './flush-position.ts';
import type { WalIntake } from './wal-intake.ts';

export interface StreamParts {
  readonly stream: WalStream;
  readonly intake: WalIntake;
  readonly sink: JournalSink;
  readonly events: JournalEvents;
  readonly clock: Clock;
  /** An abort ends the stream cleanly, with a last report. */
  readonly signal: AbortSignal;
  /** Ends what waits for the journal; aborted some time after `signal`. */
  readonly closing: AbortController;
  /** Ends the connection. What is under way in the journal goes on. */
  readonly leave: (reason: AppError) => void;
  readonly times: StreamIntakeTimes;
}

export interface StreamIntakeTimes {
  /** At most so long after it came a byte is durable and reported. */
  readonly syncMs: number;
  /** A journal that takes nothing for so long, because it is full or its disk hangs, must not hold up a server that stops. */
  readonly blockedMaxMs: number;
  /** How long a server that stops waits for repositories before it is left. */
  readonly shutdownWaitMaxMs: number;
}

/** Servers ask again at once only while they wait for us to let them stop; else half a wal_sender_timeout passes. */
const askedAgainMs = 500;
const answerPaceMs = 50;
const progressPaceMs = 250;

export class StreamIntake {
  readonly #parts: StreamParts;
  /** Up to here what comes was kept before: it is compared, and nothing is reported until that is done. */
  readonly #comparedTo: Lsn;
  #acknowledging: Promise<void> = Promise.resolve();
  #closingTimer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  #flushed: Lsn = 0n;
  #isSyncDue = false;
  #hasStopped = false;
  #askedAtMs = -Infinity;
  #waitsSinceMs: number | undefined;
  #toldAtMs = -Infinity;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    const { sink, intake } = parts;
    const resume = sink.resumeAt();
    this.#comparedTo = resume === undefined ? intake.received : lsnOf(resume, sink.branch.segmentBytes);
  }

  /** Resolves with the stream's end; `finished` if the signal asked for it. */
  async run(): Promise<WalStreamEnd> {
    const { intake, signal, times, sink } = this.#parts;
    const timer = setInterval(() => this.#sync(), times.syncMs);
    const onAbort = (): void => this.#stop();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    // Another took over, or the disk failed: nothing may come any more, whether or not something comes.
    const onEnd = (): void => this.#fail(asError(sink.signal.reason));
    sink.signal.addEventListener('abort', onEnd, { once: true });
    if (sink.signal.aborted) onEnd();
    try {
      return await this.#takeAll();
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      clearInterval(timer);
      clearTimeout(this.#closingTimer);
      signal.removeEventListener('abort', onAbort);
      sink.signal.removeEventListener('abort', onEnd);
      await intake.close();
      await this.#acknowledging.catch(() => undefined); // Told where it was asked for.
    }
  }

  async #takeAll(): Promise<WalStreamEnd> {
    for await (const event of this.#parts.stream) {
      if (event.kind === 'end') {
        if (!this.#hasStopped) await this.#acknowledge();
        return event;
      }
      if (this.#hasStopped) continue;
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await this.#take(event);
      } catch (error) {
        if (!this.#hasStopped) throw error;
      }
    }
    throw new Error('a stream ended without an end');
  }

  async #take(event: WalData | Keepalive): Promise<void> {
    const { intake, events, sink, clock } = this.#parts;
    const { serverTimeMs, serverEnd } = event;
    if (event.kind === 'data') {
      this.#isSyncDue = true;
      await this.#watched(() => intake.take(event.lsn, event.bytes, { serverEnd, serverTimeMs }));
    } else {
      intake.heard({ serverEnd, serverTimeMs });
      if (event.replyRequested) await this.#answer(serverEnd);
    }
    const nowMs = clock.now();
    if (isWithin(progressPaceMs, this.#toldAtMs, nowMs)) return;
    this.#toldAtMs = nowMs;
    const { lineage, segmentBytes } = sink.branch;
    const { complete } = intake;
    events.progress({
      lineage,
      serverEnd: positionOf(serverEnd, segmentBytes),
      receivedEnd: positionOf(intake.received, segmentBytes),
      serverTimeMs,
      complete: complete && { position: positionOf(complete.lsn, segmentBytes), timeMs: complete.timeMs },
    });
  }

  async #answer(serverEnd: Lsn): Promise<void> {
    const { clock, times, leave } = this.#parts;
    const nowMs = clock.now();
    const isAskedAgain = isWithin(askedAgainMs, this.#askedAtMs, nowMs);
    this.#askedAtMs = nowMs;
    if (isAskedAgain) await new Promise((resolve) => setTimeout(resolve, answerPaceMs));
    await this.#acknowledge();
    if (!isAskedAgain || this.#flushed >= serverEnd) {
      this.#waitsSinceMs = undefined;
      return;
    }
    this.#waitsSinceMs ??= nowMs;
    if (isWithin(times.shutdownWaitMaxMs, this.#waitsSinceMs, nowMs)) return;
    leave(leaving('SOURCE_UNREACHABLE', 'the server stops, and the repositories do not hold all it has yet'));
  }

  /** Makes durable what came, and reports it. One at a time: what is reported never goes back. */
  #acknowledge(): Promise<void> {
    const { sink, intake, stream, closing } = this.#parts;
    const done = this.#acknowledging.then(() =>
      this.#watched(async () => {
        await intake.flush();
        const promised = await intake.inTurn(() => sink.sync(closing.signal));
        if (intake.appended >= this.#comparedTo) {
          const flushed = flushPosition(sink.resumeAt(), promised, sink.branch.segmentBytes);
          if (flushed > this.#flushed) this.#flushed = flushed;
        }
        // What is not in all repositories yet may be there a little later.
        this.#isSyncDue = this.#flushed < intake.appended;
        stream.report({ written: intake.received, flushed: this.#flushed });
      }),
    );
    this.#acknowledging = done.catch(() => undefined); // Told to its caller.
    return done;
  }

  #sync(): void {
    if (!this.#isSyncDue || this.#hasStopped) return;
    this.#isSyncDue = false;
    void this.#acknowledge().catch(() => undefined); // It is kept, and told by the loop.
  }

  #stop(): void {
    const { times, closing, stream } = this.#parts;
    this.#hasStopped = true;
    this.#closingTimer = setTimeout(
      () => closing.abort(leaving('SPOOL_FULL', 'the journal takes nothing for now')),
      times.shutdownWaitMaxMs,
    );
    void this.#acknowledge()
      .catch(() => undefined) // The next receiver asks for it again.
      .then(() => stream.requestEnd());
  }

  /** What takes too long must not hold up the server. */
  async #watched(work: () => Promise<void>): Promise<void> {
    const { times, leave } = this.#parts;
    const blocked = setTimeout(
      () => leave(leaving('SPOOL_FULL', 'the journal takes nothing for now')),
      times.blockedMaxMs,
    );
    try {
      await work();
    } catch (error) {
      this.#fail(asError(error));
      throw error;
    } finally {
      clearTimeout(blocked);
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#hasStopped) return;
    this.#failure = error;
    this.#parts.leave(leaving('SOURCE_FAILED', `the journal failed: ${error.message}`));
  }
}

/** The clock may be set back meanwhile. */
function isWithin(lengthMs: number, sinceMs: number, nowMs: number): boolean {
  return nowMs >= sinceMs && nowMs - sinceMs < lengthMs;
}

function leaving(code: 'SOURCE_UNREACHABLE' | 'SOURCE_FAILED' | 'SPOOL_FULL', fact: string): AppError {
  return new AppError(code, `${fact}: the server is left meanwhile, its slot keeps the rest`, {
    hint: 'It is connected to again by itself; look at the repositories if this goes on.',
  });
}
