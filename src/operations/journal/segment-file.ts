// One segment in a spool: its bytes from the beginning of the file, each at its place, so that a person can use them as they
// are; behind the room of a full segment the records of segment-log.ts. Files are not filled in advance: that would write each
// byte twice, and the holes read as the zeros that a segment cut short ends with.
import assert from 'node:assert/strict';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { AppError, errnoOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { decodeLog, encodeRecord, type SegmentRecord } from './segment-log.ts';
import { spoolError } from './spool-errors.ts';
import type { SpoolRoom } from './spool-room.ts';

export interface SegmentPlace {
  readonly path: string;
  readonly segment: number;
  /** Of a full segment. */
  readonly segmentBytes: number;
}

/** Bytes of a segment that are durable. Reads after one another from the first byte to the last are checked. */
export interface SegmentReader extends AsyncDisposable {
  /** Exactly these bytes, in the memory of `into`. */
  read(offset: number, into: Uint8Array): Promise<void>;
}

const pieceBytes = 1024 * 1024;

export class SegmentFile implements AsyncDisposable {
  readonly segment: number;
  readonly #place: SegmentPlace;
  #handle: FileHandle | undefined;
  #endBytes = 0;
  #durableBytes = 0;
  /** Of all bytes up to the end. */
  #crc = 0;
  #logBytes = 0;
  #isSealed = false;
  #facts: JsonObject = {};
  #durableFacts: JsonObject = {};
  #isDescribed = true;
  #nextFacts: { readonly facts: JsonObject; readonly sizeBytes: number } | undefined;
  /** Acknowledged bytes that did not hold when the file was opened again. */
  #lostBytes = 0;
  #working: Promise<void> = Promise.resolve();

  private constructor(place: SegmentPlace, handle: FileHandle | undefined) {
    this.segment = place.segment;
    this.#place = place;
    this.#handle = handle;
  }

  /** Replaces what is there under this name: the caller knows that it holds nothing. */
  static async create(place: SegmentPlace): Promise<SegmentFile> {
    return new SegmentFile(place, await open(place.path, 'w+', 0o600));
  }

  /** Finds how far the bytes are durable. What lies behind is cut off: it was never acknowledged. */
  static async open(place: SegmentPlace): Promise<SegmentFile> {
    const handle = await open(place.path, 'r+');
    const file = new SegmentFile(place, handle);
    try {
      await file.#recover(handle);
      return file;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get endBytes(): number {
    return this.#endBytes;
  }

  get durableBytes(): number {
    return this.#durableBytes;
  }

  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** Of the bytes that are durable: what is known of more must not be told before these are. */
  get facts(): JsonObject {
    return this.#durableFacts;
  }

  get lostBytes(): number {
    return this.#lostBytes;
  }

  get path(): string {
    return this.#place.path;
  }

  async #recover(handle: FileHandle): Promise<void> {
    const { segment, segmentBytes } = this.#place;
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.max(0, size - segmentBytes));
    await readFully(handle, bytes, segmentBytes);
    const { records } = decodeLog(bytes, segment);
    const isSealed = records.at(-1)?.kind === 'seal';
    for (const record of records) {
      // A sealed one is checked when it is read: there may be thousands.
      if (record.kind === 'extent' && !isSealed && !(await this.#holds(handle, record))) break;
      this.#apply(record);
      this.#logBytes = record.endPlace;
    }
    // Bytes and record of the last sync before a power cut may have arrived singly; what is missing of others was lost by the disk.
    const extents = records.filter((record) => record.kind === 'extent');
    this.#lostBytes = Math.max(0, (extents.at(-2)?.endBytes ?? 0) - this.#durableBytes);
    if (isSealed) {
      await this.#close();
    } else if (size > segmentBytes + this.#logBytes) {
      await handle.truncate(segmentBytes + this.#logBytes);
      await handle.datasync();
    }
  }

  async #holds(handle: FileHandle, { endBytes, crc }: { readonly endBytes: number; readonly crc: number }) {
    if (endBytes < this.#endBytes || endBytes > this.#place.segmentBytes) return false;
    let found = this.#crc;
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, endBytes - this.#endBytes));
    for (let at = this.#endBytes; at < endBytes; at += piece.length) {
      const part = piece.subarray(0, endBytes - at);
      if (!(await readFully(handle, part, at))) return false;
      found = crc32(part, found);
    }
    return found === crc;
  }

  #apply(record: SegmentRecord): void {
    if (record.kind === 'extent') {
      this.#endBytes = record.endBytes;
      this.#durableBytes = record.endBytes;
      this.#crc = record.crc;
    } else {
      this.#facts = record.facts;
      this.#durableFacts = record.facts;
      this.#isSealed = record.kind === 'seal';
    }
  }

  /** At the end; durable after the next sync. */
  async append(bytes: Uint8Array, room: SpoolRoom, signal: AbortSignal): Promise<void> {
    assert.ok(!this.#isSealed && this.#handle !== undefined, 'the segment takes more');
    assert.ok(this.#endBytes + bytes.length <= this.#place.segmentBytes, 'within the segment');
    const handle = this.#handle;
    await room.onDisk(() => writeFully(handle, bytes, this.#endBytes), signal);
    this.#crc = crc32(bytes, this.#crc);
    this.#endBytes += bytes.length;
    this.#adoptFacts();
  }

  /** Holds once the segment has so many bytes. */
  describe(facts: JsonObject, sizeBytes = 0): void {
    if (this.#isSealed) return;
    this.#nextFacts = { facts, sizeBytes };
    this.#adoptFacts();
  }

  #adoptFacts(): void {
    if (this.#nextFacts === undefined || this.#nextFacts.sizeBytes > this.#endBytes) return;
    this.#facts = this.#nextFacts.facts;
    this.#nextFacts = undefined;
    this.#isDescribed = false;
  }

  /** What was appended before the call is durable when it resolves. May be called at any time; calls wait for each other. */
  sync(room: SpoolRoom, signal: AbortSignal): Promise<void> {
    return this.#oneAtATime(async () => {
      if (this.#isSealed || this.#endBytes === this.#durableBytes) return;
      const facts = this.#facts;
      const described: SegmentRecord[] = this.#isDescribed ? [] : [{ kind: 'facts', facts }];
      this.#isDescribed = true;
      await this.#record([this.#extent(), ...described], room, signal);
      this.#durableFacts = facts;
    });
  }

  /** All that was appended is durable, and no more comes. */
  seal(facts: JsonObject, room: SpoolRoom, signal: AbortSignal): Promise<void> {
    return this.#oneAtATime(async () => {
      if (this.#isSealed) return;
      await this.#record([this.#extent(), { kind: 'seal', facts }], room, signal);
      this.#durableFacts = facts;
      this.#isSealed = true;
      await this.#close();
    });
  }

  #extent(): SegmentRecord & { readonly kind: 'extent' } {
    return { kind: 'extent', endBytes: this.#endBytes, crc: this.#crc };
  }

  async #record(
    records: readonly [SegmentRecord & { readonly kind: 'extent' }, ...SegmentRecord[]],
    room: SpoolRoom,
    signal: AbortSignal,
  ): Promise<void> {
    const handle = this.#handle;
    assert.ok(handle, 'the file is open');
    let place = this.#logBytes;
    const parts = records.map((record) => {
      const encoded = encodeRecord(record, this.segment, place);
      place += encoded.length;
      return encoded;
    });
    const logPlace = this.#place.segmentBytes + this.#logBytes;
    await room.onDisk(() => writeFully(handle, Buffer.concat(parts), logPlace), signal);
    try {
      await handle.datasync();
    } catch (error) {
      // The kernel may have dropped the pages and calls the next sync good: nothing here may be trusted any more.
      throw new DiskFailure(spoolError(error, `make ${this.path} durable`));
    }
    room.add(place - this.#logBytes);
    this.#logBytes = place;
    this.#durableBytes = records[0].endBytes;
  }

  /** Opens the file a second time, so that it can be read while it is written and after it was removed. */
  async reader(): Promise<SegmentReader> {
    const handle = await open(this.path, 'r');
    const whole = this.#isSealed ? { sizeBytes: this.#durableBytes, crc: this.#crc } : undefined;
    let seen = { endBytes: 0, crc: 0 };
    return {
      read: async (offset, into) => {
        assert.ok(offset + into.length <= this.#durableBytes, 'only what is durable is read');
        const isThere = await readFully(handle, into, offset).catch((error: unknown) => {
          if (errnoOf(error) === undefined) throw error;
          return false;
        });
        if (offset === 0) seen = { endBytes: 0, crc: 0 };
        if (offset === seen.endBytes) seen = { endBytes: offset + into.length, crc: crc32(into, seen.crc) };
        const isOther = whole !== undefined && seen.endBytes === whole.sizeBytes && seen.crc !== whole.crc;
        if (!isThere || isOther) throw new SegmentDamage(this.path);
      },
      [Symbol.asyncDispose]: () => handle.close(),
    };
  }

  /** What it takes of the disk. */
  get storedBytes(): number {
    return this.#endBytes + this.#logBytes;
  }

  async #oneAtATime(work: () => Promise<void>): Promise<void> {
    const next = this.#working.then(work);
    this.#working = next.catch(() => undefined); // Told to its caller.
    return next;
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#working;
    await this.#close();
  }
}

/** The disk of the spool failed at a sync: this process can't know any more what is durable. */
export class DiskFailure extends AppError {
  constructor({ code, message, hint, cause }: AppError) {
    super(code, message, { hint, cause });
  }
}

/** Bytes that were durable are others now. */
export class SegmentDamage extends AppError {
  constructor(path: string) {
    super('STORE_FAILED', `the disk of the spool gives other bytes of ${path} than were written`, {
      hint: 'Look at the kernel log for disk errors; put the spool on another disk.',
    });
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** False if the file ends before. */
async function readFully(handle: FileHandle, into: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}
