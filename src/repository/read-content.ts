// The content of one file as a stream: blobs are fetched and opened a few ahead of the reader, in order.
import { isAppError } from '../base/errors.ts';
import { blobMissing, readBlob, type IndexedRepository } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import { fileName } from './layout.ts';
import type { Workers } from './worker-pool.ts';

/** Blobs under way at once: enough to keep the workers busy, at most 8 MiB each. */
const aheadMax = 4;

export interface ReadContentOptions {
  readonly pool: Workers;
  readonly signal: AbortSignal;
}

/** Yields checked bytes only. Rejects with `REPOSITORY_DAMAGED` if a blob can't be read from any of its places. */
export async function* readContent(
  indexed: IndexedRepository,
  content: readonly BlobId[],
  options: ReadContentOptions,
): AsyncGenerator<Buffer> {
  const underway: Promise<Buffer>[] = [];
  let next = 0;
  try {
    while (next < content.length || underway.length > 0) {
      while (underway.length < aheadMax && next < content.length) {
        const blob = openOnWorker(indexed, content[next] as BlobId, options);
        blob.catch(() => undefined); // Heard of when its turn comes.
        underway.push(blob);
        next += 1;
      }
      const bytes = await underway.shift();
      if (bytes !== undefined) yield bytes;
    }
  } finally {
    await Promise.allSettled(underway);
  }
}

async function openOnWorker(
  indexed: IndexedRepository,
  id: BlobId,
  { pool, signal }: ReadContentOptions,
): Promise<Buffer> {
  signal.throwIfAborted();
  const place = indexed.index.find('data', id);
  if (place === undefined) throw blobMissing('data', id);
  try {
    const { offsetBytes: offset, lengthBytes: length } = place;
    const stored = await indexed.repository.store.get(fileName('data', place.pack), { offset, length, signal });
    const blobs = [{ id, offsetBytes: 0, lengthBytes: length, plainLengthBytes: place.plainLengthBytes }];
    const [opened] = await pool.run('open', { bytes: stored, blobs, wantsContent: true });
    if (opened?.outcome === 'opened' && opened.content !== undefined) return Buffer.from(opened.content.buffer);
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED')) throw error;
  }
  // Another copy, or the error that names the file.
  return readBlob(indexed, { type: 'data', id }, signal);
}
