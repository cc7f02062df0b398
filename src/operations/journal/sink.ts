// Takes in one branch: into the spool first, from where shippers carry it on. Compares what comes again with what is kept.
import assert from 'node:assert/strict';
import { AppError, isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { JournalBranch, JournalGap, JournalPosition, JournalReader, JournalSink } from '../../sources/journal.ts';
import { throwIfAborted } from '../../storage/interruption.ts';
import { comparePositions, earlierOf, formatPosition } from './positions.ts';
import type { Shipper } from './shipper.ts';
import type { SpoolBranch } from './spool-branch.ts';

/**
 * Up to where the server is told that it may forget.
 * - `spool`: what is durable in the local spool. Nothing is lost as long as this disk or the server lives.
 * - `repository`: what is in every repository too, parts of the open segment included. For a spool that may vanish (a container's),
 *   or where a commit is to wait for the repository. A server that keeps whole segments (PostgreSQL does) would allow to tell more
 *   within the open segment once all before it are there; the sink does not know servers, and what it tells is at most an interval
 *   behind, so it never tells more than what is safe.
 */
export type Acknowledge = 'spool' | 'repository';

export interface SinkParts {
  readonly spooled: SpoolBranch;
  readonly shippers: readonly Shipper[];
  readonly acknowledge: Acknowledge;
  /** Aborts once the receiver may not go on. */
  readonly signal: AbortSignal;
  /** Runs while nothing is removed from the spool. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** What the repositories hold, for bytes that left the spool; undefined while none is reached. */
  reader(): JournalReader | undefined;
  /** Ends the receiver if the disk failed. */
  readonly onFailure: (error: unknown) => void;
  readonly onClosed: () => void;
}

export class SpoolSink implements JournalSink {
  readonly #parts: SinkParts;
  /** The segment that was compared last, as a repository has it. */
  #compared: { readonly segment: number; readonly bytes: Buffer; readonly isSealed: boolean } | undefined;
  /** The caller's signal joined with ours; nearly always the same one comes with each call. */
  #joined: { readonly signal: AbortSignal; readonly within: AbortSignal } | undefined;
  #isOpen = true;

  constructor(parts: SinkParts) {
    this.#parts = parts;
  }

  get branch(): JournalBranch {
    return this.#parts.spooled.branch;
  }

  get signal(): AbortSignal {
    return this.#parts.signal;
  }

  resumeAt(): JournalPosition | undefined {
    return this.#parts.spooled.durableEnd;
  }

  append(position: JournalPosition, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#do(signal, async (within) => {
      const { spooled } = this.#parts;
      const { end } = spooled;
      assert.ok(
        position.offset >= 0 && position.offset + bytes.length <= this.branch.segmentBytes,
        'within one segment',
      );
      if (end === undefined) assert.equal(position.offset, 0, 'a journal begins with a segment');
      else assert.ok(comparePositions(position, end) <= 0, `it ends at ${formatPosition(end)}, before the append`);
      const knownBytes = await this.#passOver(position, bytes, within);
      const rest = bytes.subarray(knownBytes);
      if (rest.length > 0) await spooled.append({ ...position, offset: position.offset + knownBytes }, rest, within);
    });
  }

  /** How many of the bytes came before; rejects if they were others. */
  async #passOver(position: JournalPosition, bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    const { spooled } = this.#parts;
    const { segment, offset } = position;
    const isOlder = spooled.end !== undefined && segment < spooled.end.segment;
    // The newest segment is not removed, and a new one has nothing to compare with: the usual case must not wait.
    if (!isOlder && (spooled.find(segment)?.endBytes ?? 0) <= offset) return 0;
    const known = await this.#parts.exclusively(() => this.#known(position, bytes.length, signal));
    if (!known.bytes.equals(bytes.subarray(0, known.bytes.length))) throw this.#forked(position);
    if (known.bytes.length === bytes.length) return bytes.length;
    if (known.isSealed) throw this.#forked({ segment, offset: offset + known.bytes.length });
    // What lies in a gap, or before all that is kept: nothing to compare with, and no place for it.
    return isOlder ? bytes.length : known.bytes.length;
  }

  /** What is kept of a stretch, from its beginning. */
  async #known({ segment, offset }: JournalPosition, lengthBytes: number, signal: AbortSignal) {
    const { spooled } = this.#parts;
    const found = spooled.find(segment);
    if (found === undefined) {
      const { bytes, isSealed } = await this.#fromRepository(segment, signal);
      return { bytes: bytes.subarray(offset, offset + lengthBytes), isSealed };
    }
    await spooled.sync(signal);
    const bytes = Buffer.alloc(Math.max(0, Math.min(lengthBytes, found.endBytes - offset)));
    await using reader = await spooled.reader(segment);
    await reader.read(offset, bytes);
    return { bytes, isSealed: found.isSealed };
  }

  async #fromRepository(segment: number, signal: AbortSignal) {
    if (this.#compared?.segment === segment) return this.#compared;
    const reader = this.#parts.reader();
    if (reader === undefined) {
      throw new AppError(
        'STORE_UNREACHABLE',
        `segment ${segment} came again, and no repository that holds it answers`,
        {
          hint: 'Wait until a repository can be reached.',
        },
      );
    }
    const { lineage } = this.branch;
    try {
      const kept = (await reader.segments(lineage, signal)).find((each) => each.segment === segment);
      const bytes = kept === undefined ? Buffer.alloc(0) : await reader.read(lineage, segment, signal);
      this.#compared = { segment, bytes, isSealed: kept?.isSealed ?? false };
    } catch (error) {
      if (!isAppError(error, 'NOT_FOUND')) throw error;
      this.#compared = { segment, bytes: Buffer.alloc(0), isSealed: false };
    }
    return this.#compared;
  }

  sync(signal: AbortSignal): Promise<JournalPosition | undefined> {
    return this.#do(signal, async (within) => {
      const { spooled, acknowledge, shippers } = this.#parts;
      const durable = await spooled.sync(within);
      if (acknowledge === 'spool' || durable === undefined) return durable;
      const ends = shippers.map((shipper) => shipper.endOf(this.branch.lineage));
      return ends.reduce((least, end) => least && end && earlierOf(least, end), durable);
    });
  }

  seal(segment: number, facts: JsonObject, signal: AbortSignal): Promise<void> {
    return this.#do(signal, async (within) => {
      const { spooled, shippers } = this.#parts;
      const newest = spooled.end;
      const found = spooled.find(segment);
      const isPast = found?.isSealed === true || (newest !== undefined && segment < newest.segment);
      if (isPast) return;
      assert.ok(found !== undefined && found.endBytes > 0, `segment ${segment} has bytes`);
      await spooled.seal(segment, facts, within);
      for (const shipper of shippers) shipper.nudge();
    });
  }

  describe(segment: number, facts: JsonObject, sizeBytes?: number): void {
    assert.ok(this.#isOpen, 'the sink is open');
    this.#parts.spooled.describe(segment, facts, sizeBytes);
  }

  gap(gap: JournalGap, signal: AbortSignal): Promise<void> {
    const { from, to } = gap;
    return this.#do(signal, async (within) => {
      const { spooled, shippers } = this.#parts;
      assert.deepEqual(from, spooled.end, 'a gap begins where the journal ends');
      assert.ok(to.offset === 0 && to.segment > from.segment, 'it ends where a later segment begins');
      await spooled.gap(gap, within);
      for (const shipper of shippers) shipper.nudge();
    });
  }

  async #do<T>(signal: AbortSignal, work: (within: AbortSignal) => Promise<T>): Promise<T> {
    const { signal: stopped, onFailure } = this.#parts;
    assert.ok(this.#isOpen, 'the sink is open');
    stopped.throwIfAborted();
    throwIfAborted(signal);
    try {
      if (this.#joined?.signal !== signal) this.#joined = { signal, within: AbortSignal.any([signal, stopped]) };
      return await work(this.#joined.within);
    } catch (error) {
      onFailure(error);
      throw error;
    }
  }

  #forked(position: JournalPosition): AppError {
    return new AppError(
      'JOURNAL_FORKED',
      `the server sends other changes for ${this.branch.lineage} at ${formatPosition(position)} than those that are kept`,
      { hint: 'Find out which server is the right one; give the other a component of its own.' },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#parts.onClosed();
  }
}
