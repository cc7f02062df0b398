// Walks through WAL as it arrives: checks every page header and the checksum of every record, and tells what recovery can aim at.
// Nothing is kept but the head of the record under way, so a record of a gigabyte costs no memory.
import assert from 'node:assert/strict';
import { crc32cEnd, crc32cStart, crc32cUpdate } from './crc32c.ts';
import { formatLsn, type Lsn } from './lsn.ts';
import {
  longHeaderBytes,
  pageFlags,
  readPageHeader,
  readSegmentHeader,
  shortHeaderBytes,
  walMagic,
  walPageBytes,
} from './page-header.ts';
import { isSegmentSize } from './segment-name.ts';
import { magicProblem } from './segment-header.ts';
import { readRecordMeaning, recordHeadBytes, recordHeaderBytes, type WalEvent } from './record-event.ts';

export interface RecordWalkerOptions {
  /** Where the bytes begin: at a page, best at a segment's start. A record continued there is passed over unchecked. */
  readonly startLsn: Lsn;
  readonly segmentBytes: number;
  readonly major: number;
  readonly systemIdentifier: bigint;
  /** Pages may name an older one as long as none goes back: a timeline's first segment begins as a copy of its parent's. */
  readonly timeline: number;
}

/** Why the walk can't go on. Nothing behind `lsn` is valid. */
export interface WalStop {
  /**
   * `blank`: zeros where a page or record should begin, as in a segment that is not full. `stale`: a page left over from a
   * segment that was used before. Both are how valid WAL ends. `damaged`: all else.
   */
  readonly kind: 'blank' | 'stale' | 'damaged';
  /** The page or the record concerned. */
  readonly lsn: Lsn;
  /** A lower-case fact with values. */
  readonly message: string;
}

/** The server refuses to write larger ones; those before 16 could not read them. */
const recordBytesMax = 2 ** 30;
const half = 2 ** 32;

type State = 'page' | 'continued' | 'record' | 'padding' | 'switched';

export class RecordWalker {
  readonly #options: RecordWalkerOptions;
  readonly #magic: number;
  readonly #onEvent: (event: WalEvent) => void;
  readonly #startHigh: number;
  readonly #startLow: number;

  /** Counts are numbers from the start on; LSNs are made of them only where somebody is told. */
  #offset = 0;
  #segmentOffset: number;
  #state: State = 'page';
  #afterPage: State = 'record';
  #pageHead = Buffer.alloc(longHeaderBytes);
  #pageFilled = 0;
  #pageTimeline = 0;
  #continuedBytes = 0;
  #isFirstPage = true;
  #startedWithin = false;

  #recordStart = 0;
  #recordBytes = 0;
  #recordFilled = 0;
  #recordSum = 0;
  readonly #recordHead = Buffer.alloc(recordHeadBytes);
  readonly #recordView = new DataView(this.#recordHead.buffer, this.#recordHead.byteOffset, recordHeadBytes);

  #previousStart: number | undefined;
  #recordsEnd: number | undefined;
  #segmentFirst: number | undefined;
  #records = 0;
  #stop: WalStop | undefined;

  constructor(options: RecordWalkerOptions, onEvent: (event: WalEvent) => void) {
    const { startLsn, segmentBytes } = options;
    assert.ok(isSegmentSize(segmentBytes) && startLsn % BigInt(walPageBytes) === 0n);
    this.#options = options;
    this.#magic = walMagic(options.major);
    this.#onEvent = onEvent;
    this.#startHigh = Number(startLsn >> 32n);
    this.#startLow = Number(startLsn & 0xffffffffn);
    this.#segmentOffset = Number(startLsn % BigInt(segmentBytes));
  }

  /** Takes the next bytes, in pieces of any size. After a stop nothing is looked at any more. */
  push(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at < bytes.length && this.#stop === undefined) at += this.#advance(bytes, view, at);
  }

  /** Where the next byte belongs; after a stop, where the last byte looked at ended. */
  get position(): Lsn {
    return this.#lsn(this.#offset);
  }

  /** Where the last complete, valid record ends; undefined before the first. After a switch the start of the next segment. */
  get recordsEnd(): Lsn | undefined {
    return this.#recordsEnd === undefined ? undefined : this.#lsn(this.#recordsEnd);
  }

  /** Where the last complete, valid record begins. */
  get lastRecord(): Lsn | undefined {
    return this.#previousStart === undefined ? undefined : this.#lsn(this.#previousStart);
  }

  /** The first record that begins in the segment at hand. */
  get firstRecordOfSegment(): Lsn | undefined {
    return this.#segmentFirst === undefined ? undefined : this.#lsn(this.#segmentFirst);
  }

  /** The first bytes belonged to a record begun earlier, which could not be checked. */
  get startedWithinRecord(): boolean {
    return this.#startedWithin;
  }

  /** Start of the record of which a part came, but not all. */
  get unfinishedRecord(): Lsn | undefined {
    return this.#recordFilled > 0 && this.#stop === undefined ? this.#lsn(this.#recordStart) : undefined;
  }

  /** Records that were complete and valid. */
  get records(): number {
    return this.#records;
  }

  get stop(): WalStop | undefined {
    return this.#stop;
  }

  #lsn(offset: number): Lsn {
    return this.#options.startLsn + BigInt(offset);
  }

  /** Does one step at `at` and tells how many bytes it took: always at least one, unless it stopped. */
  #advance(bytes: Uint8Array, view: DataView, at: number): number {
    const room = Math.min(bytes.length - at, walPageBytes - (this.#offset & (walPageBytes - 1)));
    switch (this.#state) {
      case 'page':
        return this.#takePageHeader(bytes, at);
      case 'record':
        return this.#takeRecord({ bytes, view, at, room });
      case 'continued': {
        const count = Math.min(room, this.#continuedBytes);
        this.#continuedBytes -= count;
        if (this.#continuedBytes === 0) this.#state = 'padding';
        return this.#move(count);
      }
      case 'padding':
        return this.#move(Math.min(room, -this.#offset & 7));
      case 'switched':
        return this.#move(Math.min(bytes.length - at, this.#options.segmentBytes - this.#segmentOffset));
      default:
        return this.#state satisfies never;
    }
  }

  /** Passes over bytes; finds out what comes next where a page, a segment or a gap between records ends. */
  #move(count: number): number {
    this.#offset += count;
    this.#segmentOffset += count;
    if (this.#segmentOffset === this.#options.segmentBytes) {
      this.#segmentOffset = 0;
      if (this.#state === 'switched') this.#state = 'record';
    }
    if (this.#state === 'padding' && (this.#offset & 7) === 0) this.#state = 'record';
    if (this.#state !== 'switched' && (this.#offset & (walPageBytes - 1)) === 0) {
      this.#afterPage = this.#state;
      this.#state = 'page';
    }
    return count;
  }

  #takePageHeader(bytes: Uint8Array, at: number): number {
    const size = this.#segmentOffset - this.#pageFilled === 0 ? longHeaderBytes : shortHeaderBytes;
    const count = Math.min(size - this.#pageFilled, bytes.length - at);
    this.#pageHead.set(bytes.subarray(at, at + count), this.#pageFilled);
    this.#pageFilled += count;
    this.#offset += count;
    this.#segmentOffset += count;
    if (this.#pageFilled === size) {
      this.#pageFilled = 0;
      this.#state = this.#afterPage;
      this.#openPage(size);
    }
    return count;
  }

  #openPage(headerBytes: number): void {
    const start = this.#offset - headerBytes;
    const header = readPageHeader(this.#pageHead);
    const isLong = headerBytes === longHeaderBytes;
    if (header.magic === 0) return this.#end('blank', start, 'a page of zeros');
    if (header.magic !== this.#magic) {
      return this.#end('damaged', start, magicProblem(header.magic, this.#options.major));
    }
    const expected = this.#lsn(start);
    if (header.lsn < expected) {
      return this.#end('stale', start, `a page left over from ${formatLsn(header.lsn)}`);
    }
    if (header.lsn !== expected) {
      return this.#end('damaged', start, `the page says that it belongs to ${formatLsn(header.lsn)}`);
    }
    if ((header.flags & ~pageFlags.known) !== 0 || ((header.flags & pageFlags.long) !== 0) !== isLong) {
      return this.#end('damaged', start, `the page has the wrong flags ${header.flags.toString(16)}`);
    }
    if (header.timeline > this.#options.timeline || header.timeline < this.#pageTimeline || header.timeline === 0) {
      const allowed = `${this.#pageTimeline || 1} to ${this.#options.timeline}`;
      return this.#end('damaged', start, `the page names timeline ${header.timeline}, which is not ${allowed}`);
    }
    this.#pageTimeline = header.timeline;
    if (isLong) {
      this.#segmentFirst = undefined;
      if (!this.#checkSegment(start)) return;
    }
    this.#joinRecord(start, header);
  }

  #checkSegment(start: number): boolean {
    const { systemIdentifier, segmentBytes } = this.#options;
    const header = readSegmentHeader(this.#pageHead);
    const problem =
      header.systemIdentifier !== systemIdentifier
        ? `the segment belongs to the system ${header.systemIdentifier}, not to ${systemIdentifier}`
        : header.segmentBytes !== segmentBytes
          ? `the segment is one of ${header.segmentBytes} bytes, not of ${segmentBytes}`
          : header.pageBytes !== walPageBytes
            ? `the segment has pages of ${header.pageBytes} bytes, not of ${walPageBytes}`
            : undefined;
    if (problem !== undefined) this.#end('damaged', start, problem);
    return problem === undefined;
  }

  /** What a page says about the record that was begun before it must be what is known of that record. */
  #joinRecord(start: number, { flags, continuedBytes }: { flags: number; continuedBytes: number }): void {
    const isContinued = (flags & pageFlags.continued) !== 0;
    if (isContinued !== continuedBytes > 0) {
      return this.#end('damaged', start, `the page has ${continuedBytes} bytes to continue and flags that deny it`);
    }
    if (this.#isFirstPage) {
      this.#isFirstPage = false;
      this.#continuedBytes = continuedBytes;
      if (isContinued) this.#state = 'continued';
      this.#startedWithin = isContinued;
      return;
    }
    if ((flags & pageFlags.overwritten) !== 0) {
      // A crash cut the record off, and the server went on from here without it.
      this.#recordFilled = 0;
      this.#continuedBytes = 0;
      this.#state = 'record';
      return;
    }
    const awaited = this.#state === 'continued' ? this.#continuedBytes : this.#awaitedBytes();
    if (continuedBytes !== awaited) {
      this.#end('damaged', start, `the page continues a record by ${continuedBytes} bytes where ${awaited} are due`);
    }
  }

  #awaitedBytes(): number {
    return this.#recordFilled === 0 ? 0 : this.#recordBytes - this.#recordFilled;
  }

  #takeRecord(input: Input): number {
    const { bytes, view, at, room } = input;
    if (this.#recordFilled === 0) {
      this.#recordStart = this.#offset;
      // Most records lie within a page and within the bytes at hand: nothing is copied.
      const total = room >= recordHeaderBytes ? view.getUint32(at, true) : 0;
      if (total >= recordHeaderBytes && total <= room) return this.#takeWholeRecord(view, at, total);
    }
    const filled = this.#recordFilled;
    const wanted = filled < 4 ? 4 : filled < recordHeaderBytes ? recordHeaderBytes : this.#recordBytes;
    const count = Math.min(wanted - filled, room);
    if (filled < recordHeadBytes) {
      this.#recordHead.set(bytes.subarray(at, at + Math.min(count, recordHeadBytes - filled)), filled);
    }
    if (filled >= recordHeaderBytes) {
      this.#recordSum = crc32cUpdate(this.#recordSum, view, { from: at, to: at + count });
    }
    this.#recordFilled += count;
    const isValid = this.#recordFilled < wanted || this.#reach(wanted, this.#offset + count);
    return isValid ? this.#move(count) : count;
  }

  #takeWholeRecord(view: DataView, at: number, total: number): number {
    const isValid = this.#checkLength(total) && this.#checkLink(view, at);
    if (!isValid) return total;
    const sum = crc32cUpdate(crc32cStart, view, { from: at + recordHeaderBytes, to: at + total });
    return this.#complete({ view, at, total }, sum, this.#offset + total) ? this.#move(total) : total;
  }

  /** A record that comes in pieces has its length, its header or all of its bytes. False if it is not valid. */
  #reach(filled: number, offset: number): boolean {
    const [view, at] = [this.#recordView, 0];
    if (filled === 4) {
      this.#recordBytes = view.getUint32(0, true);
      return this.#checkLength(this.#recordBytes);
    }
    if (filled === recordHeaderBytes) {
      if (!this.#checkLink(view, at)) return false;
      this.#recordSum = crc32cStart;
    }
    return filled < this.#recordBytes || this.#complete({ view, at, total: filled }, this.#recordSum, offset);
  }

  #checkLength(total: number): boolean {
    if (total === 0) this.#end('blank', this.#recordStart, 'zeros where a record should begin');
    else if (total < recordHeaderBytes || total > recordBytesMax) {
      this.#end('damaged', this.#recordStart, `a record of ${total} bytes`);
    } else this.#segmentFirst ??= this.#recordStart;
    return this.#stop === undefined;
  }

  /** Each record names the one before: what is left of older WAL may be whole, but does not link. */
  #checkLink(view: DataView, at: number): boolean {
    const [low, high] = [view.getUint32(at + 8, true), view.getUint32(at + 12, true)];
    const known = this.#previousStart;
    const bound = this.#startLow + (known ?? this.#recordStart);
    const [boundLow, boundHigh] = [bound % half, this.#startHigh + Math.floor(bound / half)];
    const isGood =
      known === undefined
        ? high < boundHigh || (high === boundHigh && low < boundLow)
        : high === boundHigh && low === boundLow;
    if (isGood) return true;
    const named = formatLsn((BigInt(high) << 32n) | BigInt(low));
    const due = known === undefined ? 'which is not before it' : `not ${formatLsn(this.#lsn(known))}`;
    this.#end('damaged', this.#recordStart, `a record that says to follow the one at ${named}, ${due}`);
    return false;
  }

  /** All bytes are there; `sum` covers those behind the header, and `end` is where they end. */
  #complete({ view, at, total }: { view: DataView; at: number; total: number }, sum: number, end: number): boolean {
    const found = crc32cEnd(crc32cUpdate(sum, view, { from: at, to: at + 20 }));
    const stored = view.getUint32(at + 20, true);
    if (found !== stored) {
      const sums = `its bytes have the CRC ${hex(found)}, its header says ${hex(stored)}`;
      this.#end('damaged', this.#recordStart, `a record of ${total} bytes that was altered: ${sums}`);
      return false;
    }
    const meaning = readRecordMeaning(view, at, at + Math.min(total, recordHeadBytes));
    const isSwitch = meaning?.kind === 'switch';
    const segmentRest = this.#options.segmentBytes - (this.#segmentOffset + end - this.#offset);
    this.#recordsEnd = isSwitch ? end + segmentRest : end + (-end & 7);
    this.#previousStart = this.#recordStart;
    this.#recordFilled = 0;
    this.#records += 1;
    this.#state = isSwitch ? 'switched' : 'padding';
    if (meaning !== undefined) {
      this.#onEvent({ ...meaning, lsn: this.#lsn(this.#recordStart), endLsn: this.#lsn(this.#recordsEnd) });
    }
    return true;
  }

  #end(kind: WalStop['kind'], offset: number, what: string): void {
    const lsn = this.#lsn(offset);
    this.#stop = { kind, lsn, message: `${what} at ${formatLsn(lsn)}` };
  }
}

interface Input {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where in `bytes` to go on, and how many of them belong to the page at hand. */
  readonly at: number;
  readonly room: number;
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
