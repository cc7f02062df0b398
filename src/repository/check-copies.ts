// Reads copies of blobs and tells which of them are damaged: an index only says that they should be there.
import { forEachLimited } from '../base/for-each-limited.ts';
import { isAppError } from '../base/errors.ts';
import type { BlobIndex } from './blob-index.ts';
import { fetchMaxBytes, planFetch, type FetchPiece } from './fetch-plan.ts';
import { fileName } from './layout.ts';
import type { Repository } from './repository.ts';
import { fetchSlabs, getInto, oversizeSlab, type Slab } from './slab-pool.ts';
import type { Workers } from './worker-pool.ts';

export interface CheckCopiesOptions {
  readonly pool: Workers;
  readonly signal: AbortSignal;
  /** As stored. */
  onBytes(bytes: number): void;
}

/** Those of the records whose blob does not open. Rejects if the store as a whole fails. */
export async function findDamagedCopies(
  { repository, index }: { readonly repository: Repository; readonly index: BlobIndex },
  records: readonly number[],
  options: CheckCopiesOptions,
): Promise<number[]> {
  const placeKey = (place: { readonly pack: string; readonly offsetBytes: number }): string =>
    `${place.pack}/${place.offsetBytes}`;
  const recordAt = new Map(records.map((record) => [placeKey(index.at(record)), record]));
  const damaged: number[] = [];
  const pieces = planFetch(index, new Map(records.map((record) => [record, []])));
  const slabs = fetchSlabs(options.pool.threadsMax, repository.store);
  await forEachLimited(pieces, slabs.slabsMax, async (piece) => {
    options.signal.throwIfAborted();
    using slab = piece.lengthBytes > fetchMaxBytes ? oversizeSlab(piece.lengthBytes) : await slabs.acquire();
    for (const [number, isGood] of (await openPiece(repository, { piece, slab }, options)).entries()) {
      const offsetBytes = piece.offsetBytes + (piece.blobs[number]?.offsetBytes ?? 0);
      const record = recordAt.get(placeKey({ pack: piece.pack, offsetBytes }));
      if (!isGood && record !== undefined) damaged.push(record);
    }
    options.onBytes(piece.blobs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  });
  return damaged;
}

/** Whether each blob of the piece opens. */
async function openPiece(
  repository: Repository,
  { piece, slab }: { readonly piece: FetchPiece; readonly slab: Slab },
  { pool, signal }: CheckCopiesOptions,
): Promise<boolean[]> {
  const { pack, offsetBytes: offset, lengthBytes: length, blobs } = piece;
  let bytes: Uint8Array;
  try {
    bytes = await getInto(slab, repository.store, { name: fileName('data', pack), offset, length, signal });
  } catch (error) {
    signal.throwIfAborted();
    // A bad sector counts as damage of all of them: another copy that can be read is the better one to keep.
    if (!isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED')) throw error;
    return blobs.map(() => false);
  }
  const opened = await pool.run('open', { bytes, blobs, wantsContent: false });
  return opened.map(({ outcome }) => outcome === 'opened');
}
