// Which stretches of which packs to fetch for a set of blobs: neighbours in one request, nothing twice. Pure.
import type { BlobIndex } from './blob-index.ts';
import type { PackId } from './ids.ts';
import type { StoredBlob } from './worker-protocol.ts';

export interface WantedBlob<Target> extends StoredBlob {
  readonly targets: readonly Target[];
}

/** One ranged read; the offsets of its blobs count from its own beginning. */
export interface FetchPiece<Target = unknown> {
  readonly pack: PackId;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly blobs: readonly WantedBlob<Target>[];
}

/** Fetching a gap is cheaper than asking again. */
const gapMaxBytes = 256 * 1024;
/** One worker task, unless a single blob is larger; memory is this times the tasks under way. */
export const fetchMaxBytes = 8 * 1024 * 1024;
const pieceBlobsMax = 2048;

/** `wanted` maps records of the index to where their content goes. */
export function planFetch<Target>(
  index: BlobIndex,
  wanted: ReadonlyMap<number, readonly Target[]>,
): FetchPiece<Target>[] {
  const places = Array.from(wanted, ([record, targets]) => ({ place: index.at(record), targets }));
  const ordered = places.toSorted((left, right) =>
    left.place.pack === right.place.pack
      ? left.place.offsetBytes - right.place.offsetBytes
      : left.place.pack < right.place.pack
        ? -1
        : 1,
  );
  const pieces: { pack: PackId; offsetBytes: number; lengthBytes: number; blobs: WantedBlob<Target>[] }[] = [];
  for (const { place, targets } of ordered) {
    const last = pieces.at(-1);
    const endBytes = last === undefined ? 0 : last.offsetBytes + last.lengthBytes;
    const grownBytes = last === undefined ? 0 : place.offsetBytes + place.lengthBytes - last.offsetBytes;
    const isNear = last?.pack === place.pack && place.offsetBytes - endBytes <= gapMaxBytes;
    const piece =
      isNear && grownBytes <= fetchMaxBytes && last.blobs.length < pieceBlobsMax
        ? last
        : { pack: place.pack, offsetBytes: place.offsetBytes, lengthBytes: 0, blobs: [] };
    if (piece !== last) pieces.push(piece);
    const { id, lengthBytes, plainLengthBytes } = place;
    piece.blobs.push({
      id,
      offsetBytes: place.offsetBytes - piece.offsetBytes,
      lengthBytes,
      plainLengthBytes,
      targets,
    });
    piece.lengthBytes = Math.max(piece.lengthBytes, place.offsetBytes + lengthBytes - piece.offsetBytes);
  }
  return pieces;
}
