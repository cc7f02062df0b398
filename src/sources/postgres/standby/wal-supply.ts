// What a standby may be given of the journal at this moment: all that is kept of the segment it asks for, or up to a limit at which it
// is to stand still. A segment that grows is given again each time there is more of it, filled up with zeros: the server reads on
// where it was. "Not there" ends no recovery of a standby, but it must be true of histories, which decide where it goes.
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalReader } from '../../journal.ts';
import { asError } from '../../../base/errors.ts';
import { ownerOf, type Reach, reachFrom } from '../recovery/reach.ts';
import { checkSegment, historyFiles } from '../recovery/replay-files.ts';
import { type Lsn, lsnOf, positionOf } from '../wal/lsn.ts';
import type { WalEvent } from '../wal/record-event.ts';
import { parseWalFileName } from '../wal/segment-name.ts';
import type { JournalView } from './journal-view.ts';
import { SegmentReader } from './segment-reader.ts';
import { WalScan } from './wal-scan.ts';

export interface SupplyOptions {
  readonly journal: JournalReader;
  readonly view: JournalView;
  /** Up to where the server has everything. */
  readonly from: Lsn;
  /** How long a server that asks for more than there is waits for an answer. */
  readonly waitMs: number;
  /** Told of what is about to be given, in order. May set a limit: what lies behind it is kept back. */
  readonly onRecord: (event: WalEvent) => void;
}

export class WalSupply {
  readonly #options: SupplyOptions;
  readonly #reader: SegmentReader;
  readonly #scan: WalScan;
  readonly #givenOf = new Map<string, Lsn>();
  #view: JournalView;
  #histories: ReadonlyMap<string, Buffer>;
  #given: Lsn;
  #limit: Lsn | undefined;
  #problem: string | undefined;
  #failure: Error | undefined;
  readonly #hurried = new AbortController();
  #changed = Promise.withResolvers<undefined>();

  constructor(options: SupplyOptions) {
    const { view, journal, from } = options;
    this.#options = options;
    this.#view = view;
    this.#histories = historyFiles(view.goal, view.timelines);
    this.#reader = new SegmentReader(journal);
    this.#scan = new WalScan(view.goal, options.onRecord);
    this.#given = from;
  }

  get view(): JournalView {
    return this.#view;
  }

  /** Behind the last byte that the server was given or had by itself. */
  get given(): Lsn {
    return this.#given;
  }

  get limit(): Lsn | undefined {
    return this.#limit;
  }

  /** Why what comes next can't be given. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Why what the server waits for could not be had, the last time it was tried. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** From here on without a hole. */
  get reach(): Reach {
    return reachFrom(this.#view.goal, this.#given, this.#view.kept);
  }

  /** A look that is newer. */
  see(view: JournalView): void {
    if (view.goal.lineage !== this.#view.goal.lineage) {
      this.#reader.forget();
      this.#scan.follow(view.goal);
      this.#problem = undefined; // Of a branch that was left.
    }
    this.#view = view;
    this.#histories = historyFiles(view.goal, view.timelines);
    this.#wake();
  }

  /** Gives nothing behind that, where the server then stands still. */
  limitTo(lsn: Lsn | undefined): void {
    this.#limit = lsn;
    this.#wake();
  }

  /** What it read of its own files counts as given. */
  replayed(lsn: Lsn): void {
    if (lsn > this.#given) this.#given = lsn;
  }

  /** It is to end its recovery: from now on it gets nothing more, at once, whatever a store is waited for. */
  hurry(): void {
    this.#hurried.abort();
  }

  /** Rejects where it can't be known; the one who asks tries again. */
  async find(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const hurried = this.#hurried.signal;
    try {
      const bytes = await this.#find(name, AbortSignal.any([signal, hurried]));
      this.#failure = undefined;
      return bytes;
    } catch (error) {
      signal.throwIfAborted();
      if (hurried.aborted) return undefined;
      this.#failure = asError(error);
      throw error;
    }
  }

  async #find(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { segmentBytes } = this.#view.goal;
    const file = parseWalFileName(name, segmentBytes);
    if (file?.kind === 'history') return this.#histories.get(name);
    if (file?.kind !== 'segment') return undefined;
    signal.throwIfAborted();
    const { changed, isNewest } = this.#expect(file.segment);
    const bytes = await this.#more(name, file, signal);
    if (bytes !== undefined || !isNewest) return bytes;
    const stop = new AbortController();
    const until = { signal: AbortSignal.any([signal, stop.signal]) };
    await Promise.race([changed, sleep(this.#options.waitMs, undefined, until).catch(() => undefined)]);
    stop.abort();
    signal.throwIfAborted();
    return this.#more(name, file, signal);
  }

  #expect(segment: number): { readonly changed: Promise<undefined>; readonly isNewest: boolean } {
    const at = positionOf(this.#given, this.#view.goal.segmentBytes);
    return { changed: this.#changed.promise, isNewest: segment >= at.segment };
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve(undefined);
  }

  /** Undefined if no more is there than was given before. */
  async #more(
    name: string,
    { timeline, segment }: { readonly timeline: number; readonly segment: number },
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const { goal, kept } = this.#view;
    const { segmentBytes, path } = goal;
    const owner = ownerOf(path, segment, segmentBytes);
    const found = owner.timeline === timeline ? kept.get(owner.lineage, segment) : undefined;
    if (found === undefined) return undefined;
    const start = lsnOf({ segment, offset: 0 }, segmentBytes);
    const before = this.#givenOf.get(name) ?? start;
    if (this.#upTo(start + BigInt(found.sizeBytes)) <= before) return undefined;
    const place = { ...found, lineage: owner.lineage, timeline };
    const bytes = await this.#reader.read(place, this.#view, signal);
    if (bytes === 'other') {
      this.#problem = `other bytes than before are kept in ${name}`;
      return undefined;
    }
    checkSegment(bytes, place, goal);
    this.#scan.push(start, bytes);
    const end = this.#upTo(start + BigInt(bytes.length));
    if (end <= before) return undefined;
    this.#givenOf.set(name, end);
    this.replayed(end);
    const filled = Buffer.alloc(segmentBytes);
    filled.set(bytes.subarray(0, Number(end - start)));
    return filled;
  }

  #upTo(end: Lsn): Lsn {
    return this.#limit !== undefined && this.#limit < end ? this.#limit : end;
  }
}
