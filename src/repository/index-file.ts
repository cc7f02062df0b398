// Index files: which blob lies where in which pack. A cache of the pack headers; can be rebuilt from them.
import type { PlacedEntry } from './blob-index.ts';
import { isId, type BlobId, type PackId } from './ids.ts';

export interface IndexedPack {
  readonly id: PackId;
  readonly entries: readonly PlacedEntry[];
}

/** A new index file is begun when this many blobs are collected: 3 MB of JSON, of which several copies are in memory at once. */
export const indexBlobsMax = 20_000;

export function encodeIndex(packs: readonly IndexedPack[]): string {
  const list = packs.map(({ id, entries }) => `{"id":"${id}","blobs":[${entries.map(encodeEntry).join(',')}]}`);
  return `{"packs":[${list.join(',')}]}\n`;
}

function encodeEntry(entry: PlacedEntry): string {
  const plain = entry.plainLengthBytes === 0 ? '' : `,"uncompressed_length":${entry.plainLengthBytes}`;
  return `{"id":"${entry.id}","type":"${entry.type}","offset":${entry.offsetBytes},"length":${entry.lengthBytes}${plain}}`;
}

/** Throws on anything that is not an index; ignores fields it does not know (`supersedes`, rustic's times). */
export function decodeIndex(json: string): IndexedPack[] {
  const parsed: unknown = JSON.parse(json);
  const packs = typeof parsed === 'object' && parsed !== null && 'packs' in parsed ? parsed.packs : undefined;
  if (packs === null) return [];
  if (!Array.isArray(packs)) throw new Error('an index has no list of packs');
  return packs.map((pack: { id?: unknown; blobs?: unknown }) => {
    if (typeof pack.id !== 'string' || !isId(pack.id) || !Array.isArray(pack.blobs))
      throw new Error('malformed pack in an index');
    return { id: pack.id as PackId, entries: pack.blobs.map(decodeEntry) };
  });
}

/** Packs and blobs hold at most 4 GiB minus 1. */
const isSize = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;

function decodeEntry(blob: Record<string, unknown>): PlacedEntry {
  const { id, type, offset, length, uncompressed_length: plain = 0 } = blob;
  if (typeof id !== 'string' || !isId(id)) throw new Error('malformed blob id in an index');
  if (type !== 'data' && type !== 'tree') throw new Error(`unknown blob type '${String(type)}' in an index`);
  if (!isSize(offset) || !isSize(length) || !isSize(plain)) throw new Error(`malformed size of blob ${id} in an index`);
  return { id: id as BlobId, type, offsetBytes: offset, lengthBytes: length, plainLengthBytes: plain };
}

/** Entries of a pack header with their places: they follow one another from 0 without a gap. */
export function placeEntries<Entry extends Omit<PlacedEntry, 'offsetBytes'>>(
  entries: readonly Entry[],
): (Entry & PlacedEntry)[] {
  let offsetBytes = 0;
  return entries.map((entry) => {
    const placed = { ...entry, offsetBytes };
    offsetBytes += entry.lengthBytes;
    return placed;
  });
}
