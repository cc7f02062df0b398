// A file of which only changed ranges come: chunks of the parent's file that no range touches are referenced unread,
// the others are read, patched and stored under their own bounds.
import { AppError } from '../../base/errors.ts';
import { chunkMaxBytes } from '../../repository/chunker.ts';
import { plainBytesOf } from '../../repository/blob-codec.ts';
import { readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import type { BlobWriter, SavedContent } from '../../repository/blob-writer.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { ParentReader, PatchedEntry } from '../../sources/source.ts';
import { ChunksAhead, chunksToRead, type PlacedChunk as PlacedChunkOf } from './chunks-ahead.ts';

type PlacedChunk = PlacedChunkOf<BlobId>;

interface Range {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface PatchOptions {
  readonly parent: TreeNode | undefined;
  readonly writer: BlobWriter;
  readonly indexed: IndexedRepository;
  readonly signal: AbortSignal;
}

export async function savePatched(entry: PatchedEntry, options: PatchOptions): Promise<SavedContent> {
  const chunks = placeChunks(entry, options);
  const reader = parentReader(chunks, options);
  const { spans } = entry;
  const { sizeBytes } = entry.metadata;
  const fixedBytes = fixedBytesOf(chunks, options.writer);
  const ahead = new ChunksAhead({
    chunks,
    wanted: chunksToRead(grown(chunks, { sizeBytes, fixedBytes }), spans ?? []),
    read: ({ id }) => readBlob(options.indexed, { type: 'data', id }, options.signal),
  });
  const hasSpans = spans !== undefined;
  const target = new PatchedFile(sizeBytes, { ...options, chunks, reader, ahead, hasSpans, fixedBytes });
  try {
    for await (const range of entry.ranges(reader, options.signal)) await target.apply(range);
    return await target.finish();
  } finally {
    await ahead.settle();
  }
}

function placeChunks(entry: PatchedEntry, { parent, indexed }: PatchOptions): PlacedChunk[] {
  const chunks: PlacedChunk[] = [];
  let fromBytes = 0;
  for (const id of parent?.content ?? []) {
    const found = indexed.index.find('data', id);
    if (found === undefined) {
      throw new AppError('REPOSITORY_DAMAGED', `chunk ${id} of the parent's ${entry.path} is missing`, {
        hint: 'Take a full backup.',
      });
    }
    const sizeBytes = plainBytesOf(found);
    chunks.push({ id, fromBytes, toBytes: fromBytes + sizeBytes });
    fromBytes += sizeBytes;
  }
  return chunks;
}

/** First chunk that ends after `offset`. */
function chunkAt(chunks: readonly PlacedChunk[], offset: number): number {
  let [low, high] = [0, chunks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle] as PlacedChunk).toBytes > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function parentReader(chunks: readonly PlacedChunk[], { indexed, signal }: PatchOptions): ParentReader {
  const sizeBytes = chunks.at(-1)?.toBytes ?? 0;
  return {
    sizeBytes,
    async read(offset, length) {
      const parts: Buffer[] = [];
      const end = Math.min(offset + length, sizeBytes);
      for (let at = chunkAt(chunks, offset); at < chunks.length; at += 1) {
        const { id, fromBytes, toBytes } = chunks[at] as PlacedChunk;
        if (fromBytes >= end) break;
        const content = await readBlob(indexed, { type: 'data', id }, signal);
        parts.push(content.subarray(Math.max(0, offset - fromBytes), Math.min(toBytes, end) - fromBytes));
      }
      return Buffer.concat(parts);
    },
  };
}

interface PatchedFileOptions extends PatchOptions {
  readonly chunks: readonly PlacedChunk[];
  readonly reader: ParentReader;
  readonly ahead: ChunksAhead<BlobId>;
  readonly hasSpans: boolean;
  /** The size of chunks, if both the parent's and the new ones have a fixed one. */
  readonly fixedBytes: number | undefined;
}

interface OpenChunk {
  readonly fromBytes: number;
  readonly bytes: Buffer;
  /** What ranges must still bring. */
  missingBytes: number;
}

function fixedBytesOf(
  chunks: readonly PlacedChunk[],
  { fixedChunkBytes }: Pick<BlobWriter, 'fixedChunkBytes'>,
): number | undefined {
  if (fixedChunkBytes === undefined) return undefined;
  const isCutSo = chunks.every(
    ({ fromBytes, toBytes }, number) =>
      fromBytes === number * fixedChunkBytes &&
      (toBytes - fromBytes === fixedChunkBytes || number === chunks.length - 1),
  );
  return isCutSo ? fixedChunkBytes : undefined;
}

/** The parent's chunks with the bounds that they have in the new file: the last one may take in some of the growth. */
function grown(
  chunks: readonly PlacedChunk[],
  { sizeBytes, fixedBytes }: { readonly sizeBytes: number; readonly fixedBytes: number | undefined },
): readonly PlacedChunk[] {
  const last = chunks.at(-1);
  if (fixedBytes === undefined || last === undefined || sizeBytes <= last.toBytes) return chunks;
  return [...chunks.slice(0, -1), { ...last, toBytes: Math.min(last.fromBytes + fixedBytes, sizeBytes) }];
}

/** The new file, written from its beginning to its end; one chunk is in memory. */
class PatchedFile {
  readonly #sizeBytes: number;
  readonly #options: PatchedFileOptions;
  readonly #content: BlobId[] = [];
  #number = 0;
  #current: OpenChunk | undefined;
  #coveredBytes = 0;

  constructor(sizeBytes: number, options: PatchedFileOptions) {
    this.#sizeBytes = sizeBytes;
    this.#options = options;
  }

  async apply({ offset, bytes }: Range): Promise<void> {
    if (offset < this.#coveredBytes || offset + bytes.length > this.#sizeBytes) {
      throw new Error(`a range from ${offset} of ${bytes.length} bytes overlaps or leaves the file`);
    }
    if (offset > Math.max(this.#coveredBytes, this.#options.reader.sizeBytes)) throw notCovered();
    this.#coveredBytes = offset + bytes.length;
    for (let done = 0; done < bytes.length;) {
      const current = await this.#open(offset + done);
      const at = offset + done - current.fromBytes;
      const piece = bytes.subarray(done, done + current.bytes.length - at);
      current.bytes.set(piece, at);
      current.missingBytes -= piece.length;
      done += piece.length;
    }
  }

  async finish(): Promise<SavedContent> {
    await this.#passTo(this.#sizeBytes);
    const { sizeBytes } = this.#options.reader;
    if (this.#sizeBytes > sizeBytes && this.#coveredBytes < this.#sizeBytes) throw notCovered();
    return { content: this.#content, sizeBytes: this.#sizeBytes, isChanged: false };
  }

  /** Makes the chunk around `offset` the current one, with the parent's bytes in it. */
  async #open(offset: number): Promise<OpenChunk> {
    const current = this.#current;
    if (current !== undefined && offset < current.fromBytes + current.bytes.length) return current;
    await this.#passTo(offset);
    const { fromBytes, toBytes } = this.#bounds();
    const bytes = Buffer.alloc(toBytes - fromBytes);
    const opened = { fromBytes, bytes, missingBytes: bytes.length };
    const old = await this.#oldBytes(fromBytes, toBytes);
    if (old !== undefined) {
      old.copy(bytes);
      // What the parent lacks is in ranges, or the growth is not covered.
      opened.missingBytes = 0;
    }
    this.#current = opened;
    return opened;
  }

  /** The parent's bytes; undefined if the source said that ranges will cover the whole chunk. */
  #oldBytes(fromBytes: number, toBytes: number): Promise<Buffer> | undefined {
    const { ahead, hasSpans, reader, chunks } = this.#options;
    const fetched = ahead.take(this.#number);
    if (fetched !== undefined) return fetched;
    if (hasSpans && chunks[this.#number] !== undefined) return undefined;
    return reader.read(fromBytes, toBytes - fromBytes);
  }

  /** Bounds of chunk `#number`: the parent's, cut at the new end; beyond the parent's end, chunks of the largest size. */
  #bounds(): { readonly fromBytes: number; readonly toBytes: number } {
    const { chunks, reader, fixedBytes } = this.#options;
    if (fixedBytes !== undefined) {
      const fromBytes = this.#number * fixedBytes;
      return { fromBytes, toBytes: Math.min(fromBytes + fixedBytes, this.#sizeBytes) };
    }
    const chunk = chunks[this.#number];
    if (chunk !== undefined) return { fromBytes: chunk.fromBytes, toBytes: Math.min(chunk.toBytes, this.#sizeBytes) };
    const fromBytes = reader.sizeBytes + (this.#number - chunks.length) * chunkMaxBytes;
    return { fromBytes, toBytes: Math.min(fromBytes + chunkMaxBytes, this.#sizeBytes) };
  }

  /** Finishes all chunks that end at or before `offset`. */
  async #passTo(offset: number): Promise<void> {
    for (
      let bounds = this.#bounds();
      bounds.fromBytes < this.#sizeBytes && bounds.toBytes <= offset;
      bounds = this.#bounds()
    ) {
      const chunk = this.#options.chunks[this.#number];
      const current = this.#current;
      if (current?.fromBytes === bounds.fromBytes) {
        if (current.missingBytes > 0) throw new Error('the ranges do not cover what their spans said');
        this.#content.push(await this.#options.writer.saveData(current.bytes));
      } else if (chunk !== undefined && chunk.toBytes === bounds.toBytes) this.#content.push(chunk.id);
      else {
        const cut = await this.#options.reader.read(bounds.fromBytes, bounds.toBytes - bounds.fromBytes);
        this.#content.push(await this.#options.writer.saveData(cut));
      }
      this.#current = undefined;
      this.#number += 1;
    }
  }
}

/** Zeros there would be a guess. */
function notCovered(): Error {
  return new Error('the ranges do not cover what the file grew by');
}
