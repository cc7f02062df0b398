// Files of which only changed ranges come: chunks of the parent's file that no range touches are referenced unread, the others are
// opened, patched, hashed and stored under their own bounds. The next chunks are opened while ranges are written into the last.
import { AppError } from '../../base/errors.ts';
import { plainBytesOf } from '../../repository/blob-codec.ts';
import { readBlob, type IndexedRepository } from '../../repository/blob-reader.ts';
import type { BlobWriter, ChunkStretch, SavedContent } from '../../repository/blob-writer.ts';
import type { BlobId } from '../../repository/ids.ts';
import { fillArea } from '../../repository/slab-pool.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { ParentReader, PatchedEntry, Span } from '../../sources/source.ts';
import { OldChunks } from './old-chunks.ts';
import { patchSteps, stretchesOf, type PatchStep, type PlacedChunk, type WriteStep } from './patch-steps.ts';

/** What is patched in one piece. */
const stretchMaxBytes = 4 * 1024 * 1024;

export interface PatchedFilesParts {
  readonly writer: BlobWriter;
  readonly indexed: IndexedRepository;
  readonly pool: Workers;
  readonly signal: AbortSignal;
}

export class PatchedFiles {
  readonly #parts: PatchedFilesParts;
  readonly #old: OldChunks;

  constructor(parts: PatchedFilesParts) {
    this.#parts = parts;
    this.#old = new OldChunks(parts);
  }

  async save(entry: PatchedEntry, parent: TreeNode | undefined): Promise<SavedContent> {
    const { writer, indexed, signal } = this.#parts;
    const chunks = placeChunks(entry, { parent, indexed });
    const { sizeBytes } = entry.metadata;
    const fixedBytes = fixedBytesOf(chunks, writer);
    const steps = patchSteps({ chunks, sizeBytes, spans: entry.spans, fixedBytes });
    await using file = new PatchedFile(steps, { writer, old: this.#old });
    const walk = new SpanWalk(entry.spans);
    for await (const range of entry.ranges(parentReader(chunks, this.#parts), signal)) {
      walk.pass(range);
      await file.write(range);
    }
    walk.finish();
    return { content: await file.finish(), sizeBytes, isChanged: false };
  }
}

function placeChunks(
  entry: PatchedEntry,
  { parent, indexed }: { readonly parent: TreeNode | undefined; readonly indexed: IndexedRepository },
): PlacedChunk<BlobId>[] {
  const chunks: PlacedChunk<BlobId>[] = [];
  let fromBytes = 0;
  for (const id of parent?.content ?? []) {
    const found = indexed.index.find('data', id);
    if (found === undefined) {
      throw new AppError('REPOSITORY_DAMAGED', `chunk ${id} of the parent's ${entry.path} is missing`, {
        hint: 'Take a full backup.',
      });
    }
    const toBytes = fromBytes + plainBytesOf(found);
    chunks.push({ id, fromBytes, toBytes });
    fromBytes = toBytes;
  }
  return chunks;
}

function fixedBytesOf(
  chunks: readonly PlacedChunk<BlobId>[],
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

/** First chunk that ends after `offset`. */
function chunkAt(chunks: readonly PlacedChunk<BlobId>[], offset: number): number {
  let [low, high] = [0, chunks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle] as PlacedChunk<BlobId>).toBytes > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function parentReader(
  chunks: readonly PlacedChunk<BlobId>[],
  { indexed, signal }: Pick<PatchedFilesParts, 'indexed' | 'signal'>,
): ParentReader {
  const sizeBytes = chunks.at(-1)?.toBytes ?? 0;
  // Whoever reads a page here and a page there mostly reads on in the same chunk.
  let last: { readonly id: BlobId; readonly content: Buffer } | undefined;
  return {
    sizeBytes,
    async read(offset, length) {
      const parts: Buffer[] = [];
      const end = Math.min(offset + length, sizeBytes);
      for (let at = chunkAt(chunks, offset); at < chunks.length; at += 1) {
        const { id, fromBytes, toBytes } = chunks[at] as PlacedChunk<BlobId>;
        if (fromBytes >= end) break;
        const content = last?.id === id ? last.content : await readBlob(indexed, { type: 'data', id }, signal);
        last = { id, content };
        parts.push(content.subarray(Math.max(0, offset - fromBytes), Math.min(toBytes, end) - fromBytes));
      }
      return Buffer.concat(parts);
    },
  };
}

interface Range {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Ranges must bring what their spans said, all of it and in that order: the parent's bytes are opened only where none come. */
class SpanWalk {
  readonly #spans: readonly Span[];
  #number = 0;
  #doneBytes = 0;

  constructor(spans: readonly Span[]) {
    this.#spans = spans;
  }

  pass({ offset, bytes }: Range): void {
    if (bytes.length === 0) return;
    this.#skipDone();
    const span = this.#spans[this.#number];
    const isNext = span !== undefined && offset === span.offset + this.#doneBytes;
    if (!isNext || this.#doneBytes + bytes.length > span.length)
      throw new Error(`a range from ${offset} of ${bytes.length} bytes is not where its spans said`);
    this.#doneBytes += bytes.length;
  }

  finish(): void {
    this.#skipDone();
    if (this.#number < this.#spans.length) throw new Error('the ranges do not cover what their spans said');
  }

  #skipDone(): void {
    while (this.#number < this.#spans.length && this.#doneBytes === this.#spans[this.#number]?.length) {
      this.#number += 1;
      this.#doneBytes = 0;
    }
  }
}

interface PlacedStep {
  readonly step: WriteStep<BlobId>;
  /** Where it begins in memory. */
  readonly atBytes: number;
}

interface OpenStretch {
  readonly stretch: ChunkStretch;
  readonly area: Uint8Array;
  readonly steps: readonly PlacedStep[];
}

/** The new file, written from its beginning to its end; one stretch is in memory, and the one after it on its way there. */
class PatchedFile implements AsyncDisposable {
  readonly #steps: readonly PatchStep<BlobId>[];
  readonly #stretches: readonly (readonly WriteStep<BlobId>[])[];
  readonly #parts: { readonly writer: BlobWriter; readonly old: OldChunks };
  readonly #saved: Promise<readonly BlobId[]>[] = [];
  #opened = 0;
  #next: Promise<OpenStretch> | undefined;
  #current: OpenStretch | undefined;
  /** Within the current stretch. */
  #step = 0;

  constructor(steps: readonly PatchStep<BlobId>[], parts: { readonly writer: BlobWriter; readonly old: OldChunks }) {
    this.#steps = steps;
    this.#stretches = stretchesOf(steps, stretchMaxBytes);
    this.#parts = parts;
    this.#openNext();
  }

  async write({ offset, bytes }: Range): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { step, atBytes, area } = await this.#stepAt(offset + done);
      const piece = bytes.subarray(done, done + step.toBytes - (offset + done));
      area.set(piece, atBytes + offset + done - step.fromBytes);
      done += piece.length;
    }
  }

  async #stepAt(offset: number): Promise<PlacedStep & { readonly area: Uint8Array }> {
    for (;;) {
      const current = this.#current ?? (await this.#takeNext());
      if (current === undefined) throw new Error(`a range at ${offset}, where no chunk is written`);
      for (; this.#step < current.steps.length; this.#step += 1) {
        const placed = current.steps[this.#step] as PlacedStep;
        if (offset < placed.step.toBytes) return { ...placed, area: current.area };
      }
      this.#save(current);
    }
  }

  /** The ids of all chunks, once all are known. */
  async finish(): Promise<BlobId[]> {
    for (let current = this.#current; ; current = undefined) {
      current ??= await this.#takeNext();
      if (current === undefined) break;
      this.#save(current);
    }
    const written = (await Promise.all(this.#saved)).flat();
    let number = 0;
    return this.#steps.map((step) => (step.kind === 'keep' ? step.id : (written[number++] as BlobId)));
  }

  #save({ stretch, steps }: OpenStretch): void {
    const pieces = steps.map(({ step, atBytes }) => ({
      offsetBytes: atBytes,
      lengthBytes: step.toBytes - step.fromBytes,
    }));
    this.#current = undefined;
    const saved = stretch.save(pieces);
    saved.catch(() => undefined); // `finish` hears of it; it may never be called.
    this.#saved.push(saved);
  }

  async #takeNext(): Promise<OpenStretch | undefined> {
    const next = this.#next;
    if (next === undefined) return undefined;
    const current = await next;
    this.#current = current;
    this.#step = 0;
    this.#openNext();
    return current;
  }

  #openNext(): void {
    const steps = this.#stretches[this.#opened];
    this.#opened += 1;
    this.#next = steps && this.#open(steps);
    this.#next?.catch(() => undefined); // Whoever takes it hears of it.
  }

  async #open(steps: readonly WriteStep<BlobId>[]): Promise<OpenStretch> {
    const placed: PlacedStep[] = [];
    let atBytes = 0;
    for (const step of steps) {
      placed.push({ step, atBytes });
      atBytes += step.toBytes - step.fromBytes;
    }
    const old = placed.flatMap(({ step, atBytes: at }) => {
      if (step.old === undefined) return [];
      const { id, toBytes, fromBytes } = step.old;
      return [{ id, atBytes: at, lengthBytes: Math.min(toBytes, step.toBytes) - fromBytes }];
    });
    const stretch = await this.#parts.writer.openStretch();
    try {
      await this.#parts.old.openInto(stretch.memory, old);
    } catch (error) {
      stretch[Symbol.dispose]();
      throw error;
    }
    return { stretch, area: fillArea(stretch.memory), steps: placed };
  }

  /** Waits for what is under way: it writes into memory that others get. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#current?.stretch[Symbol.dispose]();
    const [next] = await Promise.allSettled([this.#next]);
    if (next.status === 'fulfilled') next.value?.stretch[Symbol.dispose]();
    await Promise.allSettled(this.#saved);
  }
}
