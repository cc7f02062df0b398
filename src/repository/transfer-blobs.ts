// Moves blobs into new packs, of the same repository (prune) or of another (copy): read in pack order, neighbours in one
// request, each checked against its id on the way. What can't be read in one pack is taken from another that has it.
import { forEachLimited } from '../base/for-each-limited.ts';
import { AppError, isAppError, messageOf } from '../base/errors.ts';
import type { BlobLocation } from './blob-index.ts';
import type { IndexedRepository } from './blob-reader.ts';
import { fetchMaxBytes, planFetch, type FetchPiece } from './fetch-plan.ts';
import { fileName } from './layout.ts';
import type { PackWriter } from './pack-writer.ts';
import type { KeyTriple } from './seal.ts';
import { fetchSlabs, getInto, oversizeSlab, type Slab } from './slab-pool.ts';
import type { Workers } from './worker-pool.ts';
import type { ResealedBlob } from './worker-protocol.ts';
import { resealBlob, type ResealedBytes } from './worker-reseal.ts';

export interface TransferOptions {
  readonly writer: PackWriter;
  /** Threads with the keys of the repository that is read. */
  readonly pool: Workers;
  /** Of the repository that is written; absent if it is the same. */
  readonly targetKeys?: KeyTriple | undefined;
  readonly signal: AbortSignal;
  /** A blob is with the writer. */
  onBlob?(place: BlobLocation): void;
}

interface Piece extends FetchPiece {
  readonly places: readonly BlobLocation[];
}

/** Resolves when all blobs are with the writer; rejects if one is damaged and has no other copy. */
export async function transferBlobs(
  source: IndexedRepository,
  records: Iterable<number>,
  options: TransferOptions,
): Promise<void> {
  const { pool, signal, writer } = options;
  const slabs = fetchSlabs(pool.threadsMax, source.repository.store);
  await forEachLimited(piecesOf(source, records), slabs.slabsMax, async (piece) => {
    signal.throwIfAborted();
    using slab = piece.lengthBytes > fetchMaxBytes ? oversizeSlab(piece.lengthBytes) : await slabs.acquire();
    const run = await reseal(source, { piece, slab }, options);
    for (const [number, place] of piece.places.entries()) {
      const blob = run?.blobs[number];
      if (run !== undefined && blob?.outcome === 'sealed') {
        const { plainLengthBytes } = blob;
        const from = place.offsetBytes - piece.offsetBytes;
        const sealed = blob.bytes ?? run.bytes.subarray(from, from + place.lengthBytes);
        await writer.add({ id: place.id, type: place.type, lengthBytes: sealed.length, plainLengthBytes }, sealed);
      } else await transferAnyCopy(source, place, options);
      options.onBlob?.(place);
    }
  });
}

/** Undefined if the piece can't be read: its blobs are then read one by one. */
async function reseal(
  { repository: { store } }: IndexedRepository,
  { piece, slab }: { readonly piece: Piece; readonly slab: Slab },
  { pool, targetKeys, signal }: TransferOptions,
): Promise<{ readonly bytes: Uint8Array; readonly blobs: readonly ResealedBlob[] } | undefined> {
  const { pack, offsetBytes: offset, lengthBytes: length, places } = piece;
  let bytes: Uint8Array;
  try {
    bytes = await getInto(slab, store, { name: fileName('data', pack), offset, length, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
  const blobs = piece.blobs.map((blob, number) => ({ ...blob, type: places[number]?.type ?? 'data' }));
  return { bytes, blobs: await pool.run('reseal', { bytes, blobs, keys: targetKeys }) };
}

/** The store says so of this object; what concerns the store as a whole is not for us to pass over. */
const isUnreadable = (error: unknown): boolean => isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED');

function* piecesOf({ index }: IndexedRepository, records: Iterable<number>): Generator<Piece> {
  const byPack = new Map<number, number[]>();
  for (const record of records) byPack.getOrInsertComputed(index.packNumberAt(record), () => []).push(record);
  for (const ofPack of byPack.values()) {
    const places = new Map(ofPack.map((record) => [index.at(record).offsetBytes, index.at(record)]));
    for (const piece of planFetch(index, new Map(ofPack.map((record) => [record, []])))) {
      const found = piece.blobs.map(({ offsetBytes }) => places.get(piece.offsetBytes + offsetBytes) as BlobLocation);
      yield { ...piece, places: found };
    }
  }
}

/** Also looks at the place where it failed: alone it may be readable where its neighbours are not. */
async function transferAnyCopy(
  { repository, index }: IndexedRepository,
  { id, type }: BlobLocation,
  { writer, targetKeys: target, signal }: TransferOptions,
): Promise<void> {
  const { store, keys } = repository;
  const problems: string[] = [];
  let storeFailure: AppError | undefined;
  for (const { pack, offsetBytes: offset, lengthBytes: length, plainLengthBytes } of index.findAll(type, id)) {
    const name = fileName('data', pack);
    const blob = { id, type, offsetBytes: 0, lengthBytes: length, plainLengthBytes };
    let sealed: ResealedBytes;
    try {
      const stored = await store.get(name, { offset, length, signal });
      sealed = resealBlob({ keys, target }, { blob, stored });
    } catch (error) {
      signal.throwIfAborted();
      if (isAppError(error) && !isUnreadable(error)) throw error;
      if (isAppError(error, 'STORE_FAILED')) storeFailure = error;
      problems.push(`file ${name}: ${messageOf(error)}`);
      continue;
    }
    const { bytes, plainLengthBytes: plain } = sealed;
    await writer.add({ id, type, lengthBytes: bytes.length, plainLengthBytes: plain }, bytes);
    return;
  }
  // A store that fails may do better later: no reason to speak of damage.
  if (storeFailure !== undefined) throw storeFailure;
  throw new AppError(
    'REPOSITORY_DAMAGED',
    `${type} blob ${id} of ${store.properties.location} is damaged: ${problems.join('; ')}`,
    {
      hint: "Run 'lifeboat repository verify --read-data' to see the extent; nothing that a snapshot needs was deleted.",
    },
  );
}
