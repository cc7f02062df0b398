// Write-ahead log made by hand, byte for byte as a server lays it out: for histories that no server can be asked for.
import { crc32c } from '../../src/sources/postgres/wal/crc32c.ts';
import type { Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import {
  longHeaderBytes,
  pageFlags,
  shortHeaderBytes,
  walMagic,
  walPageBytes,
} from '../../src/sources/postgres/wal/page-header.ts';
import type { RecordWalkerOptions } from '../../src/sources/postgres/wal/record-walker.ts';

export const madeWalOptions: RecordWalkerOptions = {
  startLsn: 0x1_0030_0000n,
  segmentBytes: 2 ** 20,
  major: 18,
  systemIdentifier: 7_394_000_000_000_000_001n,
  timeline: 3,
};

export interface MadeRecord {
  readonly manager: number;
  readonly info: number;
  readonly xid?: number;
  readonly body: Uint8Array;
}

export class MadeWal {
  readonly options: RecordWalkerOptions;
  /** Written to pages from now on. */
  timeline: number;
  #pieces: Buffer[] = [];
  #length = 0;
  #previous: Lsn;

  constructor(options: RecordWalkerOptions = madeWalOptions) {
    this.options = options;
    this.timeline = options.timeline;
    this.#previous = options.startLsn - 8n;
  }

  /** A server that goes its own way from here: its first segment begins with a copy of this one's last. */
  fork(timeline: number): MadeWal {
    this.#padTo(8);
    const { segmentBytes, startLsn } = this.options;
    const kept = this.#length - (this.#length % segmentBytes);
    const child = new MadeWal({ ...this.options, timeline, startLsn: startLsn + BigInt(kept) });
    child.#append(this.bytes.subarray(kept));
    child.#previous = this.#previous;
    return child;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get end(): Lsn {
    return this.options.startLsn + BigInt(this.#length);
  }

  /** Appends a record; `shownBytes` of it only, if a crash is to cut it off. */
  record({ manager, info, xid = 0, body }: MadeRecord, shownBytes = Infinity): { lsn: Lsn; endLsn: Lsn } {
    this.#padTo(8);
    this.#openPage(0);
    const lsn = this.end;
    const record = Buffer.alloc(24 + body.length);
    record.writeUInt32LE(record.length, 0);
    record.writeUInt32LE(xid, 4);
    record.writeBigUInt64LE(this.#previous, 8);
    record.writeUInt8(info, 16);
    record.writeUInt8(manager, 17);
    record.set(body, 24);
    record.writeUInt32LE(crc32c(Buffer.concat([record.subarray(24), record.subarray(0, 20)])), 20);
    const shown = record.subarray(0, Math.min(record.length, shownBytes));
    for (let at = 0; at < shown.length;) {
      if (at > 0) this.#openPage(record.length - at);
      const room = walPageBytes - (this.#length % walPageBytes);
      const piece = shown.subarray(at, at + room);
      this.#append(piece);
      at += piece.length;
    }
    if (shown.length === record.length) this.#previous = lsn;
    return { lsn, endLsn: this.end + BigInt(-Number(this.end & 7n) & 7) };
  }

  commit(timeUs: bigint, prefix = Buffer.alloc(0), xid = 700): { lsn: Lsn; endLsn: Lsn } {
    return this.record({
      manager: 1,
      info: 0,
      xid,
      body: Buffer.concat([prefix, Buffer.of(255, 8), int64(timeUs)]),
    });
  }

  restorePoint(name: string, timeUs: bigint): { lsn: Lsn; endLsn: Lsn } {
    const field = Buffer.alloc(64);
    field.write(name);
    return this.record({ manager: 0, info: 0x70, body: Buffer.concat([Buffer.of(255, 72), int64(timeUs), field]) });
  }

  tablespace(oid: number, location: string): { lsn: Lsn; endLsn: Lsn } {
    const body = Buffer.alloc(4 + Buffer.byteLength(location) + 1);
    body.writeUInt32LE(oid, 0);
    body.write(location, 4);
    const header =
      body.length < 256 ? Buffer.of(255, body.length) : Buffer.of(254, body.length & 255, body.length >> 8, 0, 0);
    return this.record({ manager: 5, info: 0, body: Buffer.concat([header, body]) });
  }

  /** A record that ends the segment; the rest of it is zeros, page headers included. */
  switchSegment(): { lsn: Lsn } {
    const { lsn } = this.record({ manager: 0, info: 0x40, body: Buffer.alloc(0) });
    this.#padTo(this.options.segmentBytes);
    return { lsn };
  }

  /** What a server does that finds the record before cut off: it begins anew at the next page, and says so. */
  overwriteRest(): void {
    this.#padTo(walPageBytes);
    this.#openPage(0, pageFlags.overwritten);
  }

  #openPage(continuedBytes: number, moreFlags = 0): void {
    if (this.#length % walPageBytes !== 0) return;
    const { startLsn, segmentBytes, major, systemIdentifier } = this.options;
    const lsn = startLsn + BigInt(this.#length);
    const isLong = lsn % BigInt(segmentBytes) === 0n;
    const header = Buffer.alloc(isLong ? longHeaderBytes : shortHeaderBytes);
    header.writeUInt16LE(walMagic(major), 0);
    const flags = (continuedBytes > 0 ? pageFlags.continued : 0) | (isLong ? pageFlags.long : 0) | moreFlags;
    header.writeUInt16LE(flags, 2);
    header.writeUInt32LE(this.timeline, 4);
    header.writeBigUInt64LE(lsn, 8);
    header.writeUInt32LE(continuedBytes, 16);
    if (isLong) {
      header.writeBigUInt64LE(systemIdentifier, 24);
      header.writeUInt32LE(segmentBytes, 32);
      header.writeUInt32LE(walPageBytes, 36);
    }
    this.#append(header);
  }

  #padTo(alignment: number): void {
    const rest = this.#length % alignment;
    if (rest > 0) this.#append(Buffer.alloc(alignment - rest));
  }

  #append(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
  }
}

/** Microseconds since 1970, as the server counts them: since 2000. */
function int64(timeUs: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(timeUs - 946_684_800_000_000n);
  return bytes;
}
