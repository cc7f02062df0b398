// One connection of the receiver: finds out who the server is, which timeline comes next and from where, and runs streams one after
// the other for as long as the connection lasts.
import type { AppError } from '../../../base/errors.ts';
import { isAppError } from '../../../base/errors.ts';
import type { JournalPosition, JournalSink } from '../../journal.ts';
import { historyOf, lineageOf, readTimelineBranch, timelineBranch, type TimelineFacts } from '../lineage.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import { replicationFailure } from '../protocol/replication-error.ts';
import { formatLsn, lsnOf, positionOf, type Lsn } from '../wal/lsn.ts';
import { chooseBranch, descendantOf, switchPosition, timelineOfSegment } from './branch-decision.ts';
import type { OpenBranch } from './open-branch.ts';
import { aheadOfServer, behindOthers, damagedWal, gapMade, otherSystem, standbyBehind } from './receiver-findings.ts';
import { identifyAncestor, identifyServer, type ServerIdentity } from './server-identity.ts';
import { readySlot, type ReadySlot } from './slot.ts';
import { StreamIntake, type StreamParts } from './stream-intake.ts';
import { startOfSegment, WalDamage, WalIntake } from './wal-intake.ts';

export interface SessionParts extends Pick<StreamParts, 'events' | 'clock' | 'signal' | 'times' | 'leave'> {
  readonly connection: ReplicationConnection;
  readonly slot: string;
  /** Stays open from one connection to the next. */
  readonly branch: OpenBranch;
  /** What was found out before and still holds. */
  readonly memory: ReceiverMemory;
}

export interface ReceiverMemory {
  /** Damage that came again when it was asked for a second time, by LSN. */
  readonly acceptedDamage: Set<Lsn>;
  damageSeen: Lsn | undefined;
  /** From where to ask for damaged bytes again. */
  restart: { readonly lineage: string; readonly lsn: Lsn } | undefined;
  isSlotLost: boolean;
  /** The segment before the open one can't be compared, since no repository answers. */
  skipsComparison: boolean;
  /** On this connection. */
  hasStreamed: boolean;
  /** Ever. */
  hasConnected: boolean;
  /** Of the connection that stands. */
  database: string | undefined;
}

export const freshMemory = (): ReceiverMemory => ({
  acceptedDamage: new Set(),
  damageSeen: undefined,
  restart: undefined,
  isSlotLost: false,
  skipsComparison: false,
  hasStreamed: false,
  hasConnected: false,
  database: undefined,
});

/** Resolves once the signal has aborted and the server was told how far we are; rejects with whatever ended it otherwise. */
export async function runSession(parts: SessionParts): Promise<void> {
  const { connection, signal, memory } = parts;
  for (;;) {
    const server = await identifyServer(connection);
    const slot = await readySlot(connection, parts.slot, { isLost: memory.isSlotLost });
    memory.isSlotLost = false;
    const session = new ReceiverSession(parts, server, slot);
    await session.open();
    await session.stream();
    if (signal.aborted) return;
  }
}

class ReceiverSession {
  readonly #parts: SessionParts;
  readonly #server: ServerIdentity;
  readonly #slot: ReadySlot;
  #timeline: TimelineFacts;
  #firstSegment = 0;

  constructor(parts: SessionParts, server: ServerIdentity, slot: ReadySlot) {
    this.#parts = parts;
    this.#server = server;
    this.#slot = slot;
    this.#timeline = server;
  }

  /** Opens the branch that comes next, unless it is open. */
  async open(): Promise<void> {
    const { branch, events, signal } = this.#parts;
    const server = this.#server;
    if (branch.lineage === lineageOf(server)) return;
    const kept = await branch.kept(signal);
    const known = branch.knownSystems(kept);
    if (known.length > 0 && !known.includes(server.systemIdentifier)) throw otherSystem(server, known);
    const oldestLsn = this.#slot.restartLsn ?? server.lsn;
    const choice = chooseBranch({ ...server, oldestLsn }, kept);
    const descendant = descendantOf(server, kept);
    if (descendant !== undefined) events.warn(behindOthers(server.timeline, descendant));
    await this.#open(choice.timeline, choice.firstSegment);
  }

  async #open(timeline: number, firstSegment: number): Promise<void> {
    const { branch, connection, events, signal } = this.#parts;
    this.#timeline = await identifyAncestor(connection, this.#server, timeline);
    this.#firstSegment = firstSegment;
    const isNew = (await branch.open(timelineBranch(this.#timeline), signal)).resumeAt() === undefined;
    if (isNew) events.note(`the journal of timeline ${timeline} begins`);
  }

  get #sink(): JournalSink {
    return this.#parts.branch.sink;
  }

  /** Until the timeline ends, the signal aborts, or something fails. */
  async stream(): Promise<void> {
    const resume = await this.#resume();
    try {
      await this.#streamFromAnyOf(this.#starts(resume));
    } catch (error) {
      if (replicationFailure(error) !== 'wal-removed') throw await this.#explained(error, resume);
      await this.#passOverGap(resume, error as AppError);
    }
  }

  async #resume(): Promise<JournalPosition | undefined> {
    await this.#sink.sync(this.#parts.signal);
    return this.#sink.resumeAt();
  }

  /** Where to ask, in order: a server may have removed the first. */
  #starts(resume: JournalPosition | undefined): Lsn[] {
    const { segmentBytes } = this.#server;
    if (resume === undefined) return [lsnOf({ segment: this.#firstSegment, offset: 0 }, segmentBytes)];
    const { restart } = this.#parts.memory;
    if (restart?.lineage === this.#sink.branch.lineage) return [restart.lsn];
    const start = startOfSegment(resume, segmentBytes);
    // At a border there is nothing yet to tell this server's WAL from that of a copy which went its own way: the segment before has.
    const compares = resume.offset === 0 && resume.segment > 0 && !this.#parts.memory.skipsComparison;
    return compares ? [start - BigInt(segmentBytes), start] : [start];
  }

  async #streamFromAnyOf(starts: readonly Lsn[]): Promise<void> {
    for (const [index, start] of starts.entries()) {
      try {
        return await this.#streamFrom(start);
      } catch (error) {
        const isOptional = index < starts.length - 1;
        if (isOptional && isAppError(error, 'STORE_UNREACHABLE', 'STORE_FAILED', 'TIMED_OUT'))
          this.#parts.memory.skipsComparison = true;
        if (!isOptional || replicationFailure(error) !== 'wal-removed') throw error;
      }
    }
  }

  async #streamFrom(start: Lsn): Promise<void> {
    const { connection, memory, events, slot } = this.#parts;
    const { timeline, major, systemIdentifier } = this.#timeline;
    const stream = await connection.startReplication({ slot, start, timeline });
    memory.restart = undefined;
    const sink = this.#sink;
    const closing = new AbortController();
    const intake = new WalIntake({
      sink,
      signal: closing.signal,
      start,
      timeline,
      major,
      systemIdentifier,
      isOrigin: !this.#server.isStandby && timeline === this.#server.timeline,
      isAccepted: (lsn) => memory.acceptedDamage.has(lsn),
      onAcceptedDamage: (stop) => {
        const { finding, reason } = damagedWal(stop);
        events.warn(finding);
        events.needsBase(reason);
      },
    });
    events.note(`receiving timeline ${timeline} from ${formatLsn(start)}`);
    try {
      const end = await new StreamIntake({ ...this.#parts, closing, stream, intake, sink }).run();
      if (end.reason === 'timeline')
        events.note(`timeline ${timeline} ends at ${formatLsn(end.switchLsn)}, timeline ${end.nextTimeline} follows`);
    } catch (error) {
      if (error instanceof WalDamage) this.#noteDamage(error);
      throw error;
    } finally {
      if (intake.received > start) [memory.hasStreamed, memory.hasConnected] = [true, true];
    }
  }

  #noteDamage(damage: WalDamage): void {
    const { memory } = this.#parts;
    if (memory.damageSeen === damage.lsn) memory.acceptedDamage.add(damage.lsn);
    memory.damageSeen = damage.lsn;
    const { lineage, segmentBytes } = this.#sink.branch;
    memory.restart = { lineage, lsn: damage.restart(segmentBytes) };
  }

  /** The server has removed what comes next. */
  async #passOverGap(resume: JournalPosition | undefined, error: AppError): Promise<void> {
    const { events, signal } = this.#parts;
    const { segmentBytes, lsn } = this.#server;
    const oldest = positionOf(this.#slot.restartLsn ?? lsn, segmentBytes).segment;
    const history = historyOf(this.#server);
    if (resume === undefined) {
      if (oldest <= this.#firstSegment) throw error;
      await this.#tellLostBeginning(oldest);
      return this.#goOn(timelineOfSegment(history, oldest, segmentBytes), oldest);
    }
    const ends = switchPosition(history, this.#timeline.timeline, segmentBytes);
    const to = { segment: Math.min(oldest, ends?.segment ?? oldest), offset: 0 };
    if (to.segment <= resume.segment) throw error;
    const { reason, finding } = gapMade({ from: resume, to, segmentBytes, slot: this.#slot, name: this.#parts.slot });
    await this.#sink.gap({ from: resume, to, reason }, signal);
    events.warn(finding);
    events.needsBase(reason);
    return this.#goOn(timelineOfSegment(history, oldest, segmentBytes), oldest);
  }

  /** Of a timeline that goes on where another one was left, which is no gap within either. */
  async #tellLostBeginning(oldest: number): Promise<void> {
    const { branch, events, signal } = this.#parts;
    const { systemIdentifier, segmentBytes } = this.#server;
    const kept = await branch.kept(signal);
    // Whoever begins to receive has lost nothing yet.
    if (!kept.some((one) => readTimelineBranch(one)?.systemIdentifier === systemIdentifier)) return;
    const { reason, finding } = gapMade({
      from: { segment: this.#firstSegment, offset: 0 },
      to: { segment: oldest, offset: 0 },
      segmentBytes,
      slot: this.#slot,
      name: this.#parts.slot,
    });
    events.warn(finding);
    events.needsBase(reason);
  }

  async #goOn(timeline: number, firstSegment: number): Promise<void> {
    if (timeline !== this.#timeline.timeline) await this.#open(timeline, firstSegment);
    this.#firstSegment = firstSegment;
    const resume = await this.#resume();
    // What lies before a gap is not there to be compared.
    const { segmentBytes } = this.#server;
    await this.#streamFrom(
      resume === undefined ? BigInt(firstSegment) * BigInt(segmentBytes) : startOfSegment(resume, segmentBytes),
    );
  }

  async #explained(error: unknown, resume: JournalPosition | undefined): Promise<unknown> {
    const { memory } = this.#parts;
    const failure = replicationFailure(error);
    if (failure === 'slot-lost') memory.isSlotLost = true;
    if (failure !== 'ahead-of-server' || resume === undefined) return error;
    const server = this.#server;
    return server.isStandby ? standbyBehind(server, resume) : aheadOfServer(server, resume);
  }
}
