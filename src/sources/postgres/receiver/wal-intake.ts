// Brings WAL as it arrives into a journal, checked: what is passed on ends with a record whose checksum is right, so that bytes which
// were altered on their way can be asked for again before anybody keeps them. Bytes are copied into a ring of a fixed size, from
// where the journal takes them in large pieces while more arrive: the socket's own buffers die young.
import { collectGarbage } from '../../../base/collect-garbage.ts';
import { AppError, asError } from '../../../base/errors.ts';
import type { JsonObject } from '../../../base/json.ts';
import type { JournalPosition, JournalSink } from '../../journal.ts';
import { formatLsn, lsnOf, positionOf, type Lsn } from '../wal/lsn.ts';
import type { WalStop } from '../wal/record-walker.ts';
import { SegmentFactsCollector } from '../wal/segment-facts.ts';

export interface IntakeOptions {
  readonly sink: JournalSink;
  /** Start of a segment. */
  readonly start: Lsn;
  readonly timeline: number;
  readonly major: number;
  readonly systemIdentifier: string;
  /**
   * Who sends it is no standby and writes this very timeline: at the moment when it says that it has sent all, nothing else had
   * happened.
   */
  readonly isOrigin: boolean;
  /** Whether damage is the server's own and kept as it is: it came again, or can't be asked for again. */
  readonly isAccepted: (lsn: Lsn) => boolean;
  /** Told once for each accepted damage that is met. */
  readonly onAcceptedDamage: (stop: WalStop) => void;
  /** Ends waiting for the journal. */
  readonly signal: AbortSignal;
}

const ringBytes = 4 * 1024 * 1024;
/** What waits for the end of its record goes on unchecked beyond this: a record can have a gigabyte. */
const heldMaxBytes = 1024 * 1024;
/** The socket's buffers are dropped as fast as WAL comes. */
const garbageMaxBytes = 16 * 1024 * 1024;
/** Of one append. */
const appendMaxBytes = 1024 * 1024;

/** What a server says along with bytes of its WAL. */
export interface ServerMoment {
  /** All that it has. */
  readonly serverEnd: Lsn;
  readonly serverTimeMs: number;
}

/** By the server's clock there was nothing then behind `lsn`; whoever catches up must not take the moment of sending for it. */
export interface CompleteMoment {
  readonly lsn: Lsn;
  readonly timeMs: number;
}

/** The segment that ends at `lsn` is complete. */
interface Seal {
  readonly lsn: Lsn;
  readonly facts: JsonObject;
}

export class WalIntake {
  readonly #options: IntakeOptions;
  readonly #segmentBytes: number;
  /** Each byte lies at its distance from the start, modulo the size. */
  readonly #ring = Buffer.allocUnsafe(ringBytes);
  /** Undefined behind damage that was accepted, until the next segment begins. */
  #collector: SegmentFactsCollector | undefined;
  /** Facts of a segment with damage. */
  #factsOfDamaged: JsonObject = {};
  readonly #seals: Seal[] = [];
  #received: Lsn;
  #appended: Lsn;
  #complete: CompleteMoment | undefined;
  #garbageBytes = 0;
  /** What was kept before is described already, and better. */
  readonly #knownTo: Lsn;
  /** The journal takes one call at a time. */
  #queue: Promise<unknown> = Promise.resolve();
  #isScheduled = false;
  #failure: Error | undefined;
  #moved = Promise.withResolvers<void>();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#segmentBytes = options.sink.branch.segmentBytes;
    this.#received = options.start;
    this.#appended = options.start;
    this.#collector = this.#collectorAt(options.start);
    const resume = options.sink.resumeAt();
    this.#knownTo = resume === undefined ? 0n : lsnOf(resume, this.#segmentBytes);
  }

  /** Where the next byte belongs. */
  get received(): Lsn {
    return this.#received;
  }

  /** Up to where the journal was given the bytes. */
  get appended(): Lsn {
    return this.#appended;
  }

  /** The newest moment at which nothing was missing, as far as the server said so. */
  get complete(): CompleteMoment | undefined {
    return this.#complete;
  }

  /** What the server says of itself, also while nothing comes. */
  heard({ serverEnd, serverTimeMs }: ServerMoment): void {
    if (this.#options.isOrigin && serverEnd <= this.#received)
      this.#complete = { lsn: this.#received, timeMs: serverTimeMs };
  }

  /** Waits while too much is under way. Rejects with `WalDamage` if the bytes hold a record that is not sound. */
  async take(lsn: Lsn, bytes: Uint8Array, moment: ServerMoment | undefined): Promise<void> {
    if (lsn !== this.#received) {
      const due = formatLsn(this.#received);
      throw new AppError('SOURCE_FAILED', `the server sends ${formatLsn(lsn)} where ${due} is due`, {
        hint: 'It is asked again; if it goes on, look at what lies between this machine and the server.',
      });
    }
    for (let at = 0; at < bytes.length;) {
      const room = ringBytes - Number(this.#received - this.#appended);
      this.#throwIfFailed();
      if (room === 0) {
        await this.#moved.promise;
        continue;
      }
      const { offset } = positionOf(this.#received, this.#segmentBytes);
      const piece = bytes.subarray(at, at + Math.min(room, this.#segmentBytes - offset));
      this.#hold(piece);
      at += piece.length;
      if (moment !== undefined) this.heard(moment);
      if (offset + piece.length === this.#segmentBytes) this.#endSegment();
      this.#schedule();
    }
  }

  /** Resolves once the journal has all that may be passed on so far. */
  async flush(): Promise<void> {
    for (;;) {
      this.#throwIfFailed();
      if (!this.#hasWork()) return;
      this.#schedule();
      await this.#queue;
    }
  }

  /** For other calls of the journal, in turn with those of the intake. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined); // Told to its caller.
    return done;
  }

  /** Nothing more is passed on; resolves once the journal is left alone. */
  async close(): Promise<void> {
    this.#failure ??= new Error('the intake was closed');
    await this.#queue;
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #hold(piece: Uint8Array): void {
    this.#collector?.push(piece);
    const from = Number(this.#received - this.#options.start) % ringBytes;
    const first = Math.min(piece.length, ringBytes - from);
    this.#ring.set(piece.subarray(0, first), from);
    this.#ring.set(piece.subarray(first), 0);
    this.#received += BigInt(piece.length);
    this.#garbageBytes += piece.length;
    if (this.#garbageBytes > garbageMaxBytes) {
      this.#garbageBytes = 0;
      collectGarbage();
    }
    const stop = this.#collector?.stop;
    if (stop === undefined) return;
    if (!this.#options.isAccepted(stop.lsn)) throw (this.#failure = new WalDamage(stop, this.#appended));
    this.#factsOfDamaged = this.#facts();
    this.#collector = undefined;
    this.#options.onAcceptedDamage(stop);
  }

  #endSegment(): void {
    this.#seals.push({ lsn: this.#received, facts: this.#facts() });
    if (this.#collector === undefined) this.#collector = this.#collectorAt(this.#received);
    else this.#collector.nextSegment();
  }

  /** Up to where bytes may be passed on: the end of a whole record, unless it is too long to wait for. */
  #good(): Lsn {
    const collector = this.#collector;
    if (collector === undefined) return this.#received;
    const checked = collector.recordsEnd ?? this.#options.start;
    if (this.#received - checked > heldMaxBytes || checked > this.#received) return this.#received;
    return checked;
  }

  #hasWork(): boolean {
    const good = this.#good();
    const seal = this.#seals[0];
    return good > this.#appended || (seal !== undefined && seal.lsn <= good);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#failure !== undefined || !this.#hasWork()) return;
    this.#isScheduled = true;
    void this.inTurn(async () => {
      this.#isScheduled = false;
      await this.#pass();
    })
      .catch((error: unknown) => void (this.#failure ??= asError(error)))
      .finally(() => {
        this.#tellMoved();
        this.#schedule();
      });
  }

  #tellMoved(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  /** Passes on what there is at the moment, with what is known of it. */
  async #pass(): Promise<void> {
    const { sink, signal } = this.#options;
    const good = this.#good();
    this.#describe(good);
    while (this.#failure === undefined) {
      const seal = this.#seals[0];
      if (seal !== undefined && seal.lsn === this.#appended) {
        await sink.seal(positionOf(seal.lsn - 1n, this.#segmentBytes).segment, seal.facts, signal);
        this.#seals.shift();
        continue;
      }
      const end = seal !== undefined && seal.lsn < good ? seal.lsn : good;
      if (end <= this.#appended) return;
      const from = Number(this.#appended - this.#options.start) % ringBytes;
      const length = Math.min(Number(end - this.#appended), ringBytes - from, appendMaxBytes);
      const position = positionOf(this.#appended, this.#segmentBytes);
      await sink.append(position, this.#ring.subarray(from, from + length), signal);
      this.#appended += BigInt(length);
      this.#tellMoved();
    }
  }

  /** Facts of the open segment go along with its bytes: nobody may see the ones without the others. */
  #describe(end: Lsn): void {
    const { segment, offset } = positionOf(end, this.#segmentBytes);
    const isOpen = offset > 0 && positionOf(this.#received, this.#segmentBytes).segment === segment;
    if (isOpen && end > this.#knownTo) this.#options.sink.describe(segment, this.#facts(), offset);
  }

  #facts(): JsonObject {
    const facts = this.#collector === undefined ? this.#factsOfDamaged : this.#collector.facts();
    const completeMs = this.#complete?.timeMs;
    const all = { ...facts, receivedTimeUs: completeMs === undefined ? undefined : Math.round(completeMs * 1000) };
    return JSON.parse(JSON.stringify(all)) as JsonObject; // Without what is undefined.
  }

  #collectorAt(startLsn: Lsn): SegmentFactsCollector {
    const { timeline, major, systemIdentifier } = this.#options;
    const segmentBytes = this.#segmentBytes;
    return new SegmentFactsCollector({
      startLsn,
      timeline,
      major,
      systemIdentifier: BigInt(systemIdentifier),
      segmentBytes,
    });
  }
}

/** Bytes came that are no sound WAL. */
export class WalDamage extends AppError {
  readonly lsn: Lsn;
  /** Up to where the journal was given bytes. */
  readonly appended: Lsn;

  constructor(stop: WalStop, appended: Lsn) {
    super('SOURCE_FAILED', `the server sent WAL that is not sound: ${stop.message}`, {
      hint: 'It is asked for once more.',
    });
    this.lsn = stop.lsn;
    this.appended = appended;
  }

  /** From where to ask again. */
  restart(segmentBytes: number): Lsn {
    const from = this.lsn < this.appended ? this.lsn : this.appended;
    return lsnOf({ segment: positionOf(from, segmentBytes).segment, offset: 0 }, segmentBytes);
  }
}

export function startOfSegment(position: JournalPosition, segmentBytes: number): Lsn {
  return lsnOf({ segment: position.segment, offset: 0 }, segmentBytes);
}
