// Brings WAL as it arrives into a journal, checked: what is passed on ends with a record whose checksum is right, so that bytes which
// were altered on their way can be asked for again before anybody keeps them.
import assert from 'node:assert/strict';
import { AppError } from '../../../base/errors.ts';
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
  /** Whether damage is the server's own and kept as it is: it came again, or can't be asked for again. */
  readonly isAccepted: (lsn: Lsn) => boolean;
  /** Told once for each accepted damage that is met. */
  readonly onAcceptedDamage: (stop: WalStop) => void;
}

/** What waits for the end of its record goes on unchecked beyond this: a record can have a gigabyte. */
const heldMaxBytes = 1024 * 1024;

type Held =
  | { readonly kind: 'bytes'; readonly lsn: Lsn; readonly bytes: Uint8Array }
  /** The segment that ends at `lsn` is complete. */
  | { readonly kind: 'seal'; readonly lsn: Lsn; readonly facts: JsonObject };

export class WalIntake {
  readonly #options: IntakeOptions;
  readonly #segmentBytes: number;
  /** Undefined behind damage that was accepted, until the next segment begins. */
  #collector: SegmentFactsCollector | undefined;
  /** Facts of a segment with damage. */
  #factsOfDamaged: JsonObject = {};
  #held: Held[] = [];
  #received: Lsn;
  #appended: Lsn;
  #receivedTimeMs = 0;
  /** What was kept before is described already, and better. */
  readonly #knownTo: Lsn;

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

  /** `serverTimeMs`: when the server sent them. Rejects with `WalDamage` if they hold a record that is not sound. */
  async take(lsn: Lsn, bytes: Uint8Array, options: { serverTimeMs: number; signal: AbortSignal }): Promise<void> {
    if (lsn !== this.#received) {
      throw new AppError(
        'SOURCE_FAILED',
        `the server sends ${formatLsn(lsn)} where ${formatLsn(this.#received)} is due`,
        {
          hint: 'It is asked again; if it goes on, look at what lies between this machine and the server.',
        },
      );
    }
    this.#receivedTimeMs = options.serverTimeMs;
    for (let at = 0; at < bytes.length;) {
      const { offset } = positionOf(this.#received, this.#segmentBytes);
      const piece = bytes.subarray(at, at + this.#segmentBytes - offset);
      this.#hold(piece);
      if (offset + piece.length === this.#segmentBytes) this.#endSegment();
      at += piece.length;
    }
    await this.#pass(options.signal);
  }

  #hold(piece: Uint8Array): void {
    this.#collector?.push(piece);
    this.#held.push({ kind: 'bytes', lsn: this.#received, bytes: piece });
    this.#received += BigInt(piece.length);
    const stop = this.#collector?.stop;
    if (stop === undefined) return;
    if (!this.#options.isAccepted(stop.lsn)) throw new WalDamage(stop, this.#appended);
    this.#factsOfDamaged = this.#facts();
    this.#collector = undefined;
    this.#options.onAcceptedDamage(stop);
  }

  #endSegment(): void {
    this.#held.push({ kind: 'seal', lsn: this.#received, facts: this.#facts() });
    if (this.#collector === undefined) this.#collector = this.#collectorAt(this.#received);
    else this.#collector.nextSegment();
  }

  /** Passes on what ends with a whole record. */
  async #pass(signal: AbortSignal): Promise<void> {
    const checked =
      this.#collector === undefined ? this.#received : (this.#collector.recordsEnd ?? this.#options.start);
    const good = this.#received - checked > heldMaxBytes ? this.#received : checked;
    this.#describe(good);
    for (let first = this.#held[0]; first !== undefined; [first] = this.#held) {
      if (first.kind === 'seal') {
        if (first.lsn > good) return;
        const { segment } = positionOf(first.lsn - 1n, this.#segmentBytes);
        await this.#options.sink.seal(segment, first.facts, signal);
        this.#held.shift();
        continue;
      }
      const length = Math.min(first.bytes.length, Number(good - first.lsn));
      if (length <= 0) return;
      await this.#append(first.lsn, first.bytes.subarray(0, length), signal);
      if (length < first.bytes.length) {
        this.#held[0] = { ...first, lsn: first.lsn + BigInt(length), bytes: first.bytes.subarray(length) };
        return;
      }
      this.#held.shift();
    }
  }

  /** Facts of the open segment go along with its bytes: nobody may see the ones without the others. */
  #describe(good: Lsn): void {
    const end = good < this.#received ? good : this.#received;
    const { segment, offset } = positionOf(end, this.#segmentBytes);
    const isOpen = offset > 0 && positionOf(this.#received, this.#segmentBytes).segment === segment;
    if (isOpen && end > this.#knownTo) this.#options.sink.describe(segment, this.#facts(), offset);
  }

  async #append(lsn: Lsn, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    assert.equal(lsn, this.#appended);
    await this.#options.sink.append(positionOf(lsn, this.#segmentBytes), bytes, signal);
    this.#appended += BigInt(bytes.length);
  }

  #facts(): JsonObject {
    const facts = this.#collector === undefined ? this.#factsOfDamaged : this.#collector.facts();
    const all = { ...facts, receivedTimeUs: Math.round(this.#receivedTimeMs * 1000) };
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
