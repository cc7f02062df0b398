// Moves blobs into new packs, of the same repository (prune) or of another (copy): read in pack order, neighbours in one
// request, each checked against its id on the way.
import { forEachLimited } from '../base/for-each-limited.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { openBlob } from './blob-codec.ts';
import type { BlobLocation } from './blob-index.ts';
import type { IndexedRepository } from './blob-reader.ts';
import { pieceMaxBytes, planFetch, type FetchPiece } from './fetch-plan.ts';
import { fileName } from './layout.ts';
import type { PackWriter } from './pack-writer.ts';
import { isMissing } from './repository.ts';
import { open, seal, type KeyTriple } from './seal.ts';
import { fetchSlabs, getInto, oversizeSlab, type Slab } from './slab-pool.ts';
import type { Workers } from './worker-pool.ts';

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
    using slab = piece.lengthBytes > pieceMaxBytes ? oversizeSlab(piece.lengthBytes) : await slabs.acquire();
    const { bytes, problems } = await reseal(source, { piece, slab }, options);
    for (const [number, place] of piece.places.entries()) {
      const problem = problems[number];
      const from = place.offsetBytes - piece.offsetBytes;
      if (problem === undefined) await writer.add(place, bytes.subarray(from, from + place.lengthBytes));
      else await transferOtherCopy(source, { place, problem }, options);
      options.onBlob?.(place);
    }
  });
}

async function reseal(
  { repository: { store } }: IndexedRepository,
  { piece, slab }: { readonly piece: Piece; readonly slab: Slab },
  { pool, targetKeys, signal }: TransferOptions,
): Promise<{ readonly bytes: Uint8Array; readonly problems: readonly (string | undefined)[] }> {
  const { offsetBytes: offset, lengthBytes: length } = piece;
  try {
    const bytes = await getInto(slab, store, { name: fileName('data', piece.pack), offset, length, signal });
    return { bytes, problems: await pool.run('reseal', { bytes, blobs: piece.blobs, keys: targetKeys }) };
  } catch (error) {
    if (!isMissing(error)) throw error;
    return { bytes: new Uint8Array(), problems: piece.blobs.map(() => 'the file is missing') };
  }
}

function* piecesOf({ index }: IndexedRepository, records: Iterable<number>): Generator<Piece> {
  const byPack = new Map<number, number[]>();
  for (const record of records) {
    const packNumber = index.packNumberAt(record);
    const known = byPack.get(packNumber);
    if (known === undefined) byPack.set(packNumber, [record]);
    else known.push(record);
  }
  for (const ofPack of byPack.values()) {
    const places = new Map(ofPack.map((record) => [index.at(record).offsetBytes, index.at(record)]));
    for (const piece of planFetch(index, new Map(ofPack.map((record) => [record, []])))) {
      const found = piece.blobs.map(({ offsetBytes }) => places.get(piece.offsetBytes + offsetBytes) as BlobLocation);
      yield { ...piece, places: found };
    }
  }
}

async function transferOtherCopy(
  { repository, index }: IndexedRepository,
  { place, problem }: { readonly place: BlobLocation; readonly problem: string },
  { writer, targetKeys, signal }: TransferOptions,
): Promise<void> {
  const { id, type } = place;
  for (const other of index.findAll(type, id)) {
    if (other.pack === place.pack && other.offsetBytes === place.offsetBytes) continue;
    const { offsetBytes: offset, lengthBytes: length, plainLengthBytes } = other;
    let sealed: Buffer;
    try {
      const stored = await repository.store.get(fileName('data', other.pack), { offset, length, signal });
      openBlob(repository.keys, stored, { id, plainLengthBytes });
      sealed = targetKeys === undefined ? stored : seal(targetKeys, open(repository.keys, stored));
    } catch (error) {
      // Damaged or gone as well: there may be a third. What concerns the store is not for us to pass over.
      signal.throwIfAborted();
      if (isAppError(error) && !isMissing(error)) throw error;
      continue;
    }
    await writer.add(other, sealed);
    return;
  }
  throw new AppError(
    'REPOSITORY_DAMAGED',
    `${type} blob ${id} in file ${fileName('data', place.pack)} of ${repository.store.properties.location} is damaged: ${problem}`,
    {
      hint: "Run 'lifeboat repository verify --read-data' to see the extent; nothing was deleted.",
    },
  );
}
