// What a spool knows of one segment, as records in its file behind the segment's bytes: how far they are durable, with a
// checksum, what is known of them, and whether more may come. One fdatasync makes bytes and record durable together, and
// after a power cut the checksums tell how far both arrived.
import { crc32 } from 'node:zlib';
import type { JsonObject } from '../../base/json.ts';

export type SegmentRecord =
  /** Bytes up to `endBytes` are durable; `crc` is that of all of them from the segment's start. */
  | { readonly kind: 'extent'; readonly endBytes: number; readonly crc: number }
  | { readonly kind: 'facts'; readonly facts: JsonObject }
  /** Nothing more comes. */
  | { readonly kind: 'seal'; readonly facts: JsonObject };

export interface SegmentLog {
  readonly records: readonly (SegmentRecord & { readonly endPlace: number })[];
  /** Bytes of the records that hold; what lies behind was cut short or is not ours. */
  readonly sizeBytes: number;
}

const magic = 0x4c42;
/** magic u16, kind u16, payload length u32, checksum of kind, segment, place and payload u32. */
const headerBytes = 12;
const kinds = { extent: 1, facts: 2, seal: 3 } as const;
const extentBytes = 12;
/** Facts are small; a length beyond this is damage. */
const payloadMaxBytes = 4 * 1024 * 1024;

/** `place` is the record's offset within the log: a record that strayed does not fit. */
export function encodeRecord(record: SegmentRecord, segment: number, place: number): Buffer {
  const payload = record.kind === 'extent' ? encodeExtent(record) : Buffer.from(JSON.stringify(record.facts));
  if (payload.length > payloadMaxBytes) throw new RangeError(`facts of ${payload.length} bytes are too large`);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16LE(magic, 0);
  header.writeUInt16LE(kinds[record.kind], 2);
  header.writeUInt32LE(payload.length, 4);
  header.writeUInt32LE(checksum({ kind: kinds[record.kind], segment, place }, payload), 8);
  return Buffer.concat([header, payload]);
}

/** Never throws: reading ends at the first record that does not hold. */
export function decodeLog(bytes: Buffer, segment: number): SegmentLog {
  const records: (SegmentRecord & { readonly endPlace: number })[] = [];
  let place = 0;
  while (place + headerBytes <= bytes.length) {
    const payloadLength = bytes.readUInt32LE(place + 4);
    const end = place + headerBytes + payloadLength;
    if (bytes.readUInt16LE(place) !== magic || payloadLength > payloadMaxBytes || end > bytes.length) break;
    const kind = bytes.readUInt16LE(place + 2);
    const payload = bytes.subarray(place + headerBytes, end);
    if (checksum({ kind, segment, place }, payload) !== bytes.readUInt32LE(place + 8)) break;
    const record = decodeRecord(kind, payload);
    if (record === undefined) break;
    records.push({ ...record, endPlace: end });
    place = end;
  }
  return { records, sizeBytes: place };
}

function decodeRecord(kind: number, payload: Buffer): SegmentRecord | undefined {
  switch (kind) {
    case kinds.extent:
      if (payload.length !== extentBytes) return undefined;
      return { kind: 'extent', endBytes: payload.readDoubleLE(0), crc: payload.readUInt32LE(8) };
    case kinds.facts:
    case kinds.seal:
      // Its checksum holds, so these are the bytes that were written here.
      return {
        kind: kind === kinds.seal ? 'seal' : 'facts',
        facts: JSON.parse(payload.toString('utf8')) as JsonObject,
      };
    default:
      return undefined;
  }
}

function encodeExtent({ endBytes, crc }: { readonly endBytes: number; readonly crc: number }): Buffer {
  const payload = Buffer.alloc(extentBytes);
  payload.writeDoubleLE(endBytes, 0);
  payload.writeUInt32LE(crc, 8);
  return payload;
}

interface RecordPlace {
  readonly kind: number;
  readonly segment: number;
  readonly place: number;
}

function checksum({ kind, segment, place }: RecordPlace, payload: Uint8Array): number {
  return crc32(payload, crc32(`${kind} ${segment} ${place} ${payload.length}`));
}
