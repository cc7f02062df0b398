// The table of contents at the end of a pack: what blobs it holds, in file order. Pure: bytes in, entries out.
import type { BlobId } from './ids.ts';
import { sealOverheadBytes } from './seal.ts';

export type BlobType = 'data' | 'tree';

/** One blob inside a pack. Offsets are implied by the order: blobs follow one another from 0 without a gap. */
export interface PackEntry {
  readonly type: BlobType;
  readonly id: BlobId;
  /** Of the sealed blob as stored. */
  readonly lengthBytes: number;
  /** Of the content if it is compressed, else 0. */
  readonly plainLengthBytes: number;
}

const plainEntryBytes = 37;
const compressedEntryBytes = 41;
/** As restic: a longer one is damage, not a header. */
export const headerMaxBytes = 16 * 1024 * 1024;

export function entryBytes(entry: Pick<PackEntry, 'plainLengthBytes'>): number {
  return entry.plainLengthBytes === 0 ? plainEntryBytes : compressedEntryBytes;
}

/** Format 2 compresses all trees; those of a repository that began as format 1 are not. Nothing can't be compressed. */
export function isRawTree(blob: Pick<PackEntry, 'type' | 'lengthBytes' | 'plainLengthBytes'>): boolean {
  return blob.type === 'tree' && blob.plainLengthBytes === 0 && blob.lengthBytes > sealOverheadBytes;
}

export function encodeHeader(entries: readonly PackEntry[]): Buffer {
  const header = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
  let at = 0;
  for (const entry of entries) {
    const isCompressed = entry.plainLengthBytes > 0;
    header.writeUInt8((entry.type === 'tree' ? 1 : 0) + (isCompressed ? 2 : 0), at);
    header.writeUInt32LE(entry.lengthBytes, at + 1);
    if (isCompressed) header.writeUInt32LE(entry.plainLengthBytes, at + 5);
    header.write(entry.id, at + entryBytes(entry) - 32, 'hex');
    at += entryBytes(entry);
  }
  return header;
}

export function decodeHeader(header: Buffer): PackEntry[] {
  const entries: PackEntry[] = [];
  for (let at = 0; at < header.length;) {
    const kind = header.readUInt8(at);
    const size = kind < 2 ? plainEntryBytes : compressedEntryBytes;
    if (kind > 3) throw new Error(`unknown blob type ${kind} in a pack header`);
    if (at + size > header.length) throw new Error('a pack header ends in the middle of an entry');
    entries.push({
      type: (kind & 1) === 1 ? 'tree' : 'data',
      lengthBytes: header.readUInt32LE(at + 1),
      plainLengthBytes: kind < 2 ? 0 : header.readUInt32LE(at + 5),
      id: header.toString('hex', at + size - 32, at + size) as BlobId,
    });
    at += size;
  }
  return entries;
}

/** Size that a pack with these entries must have: blobs, sealed header (32 bytes of seal), its length (4). */
export function packSizeOf(entries: readonly PackEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.lengthBytes + entryBytes(entry), 36);
}
