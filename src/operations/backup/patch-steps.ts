// What becomes of each chunk of a file of which only changed ranges come: kept unread, or written anew from the parent's bytes and the
// ranges. Pure.
import { chunkMaxBytes } from '../../repository/chunker.ts';
import type { Span } from '../../sources/source.ts';

export interface PlacedChunk<Id> {
  readonly id: Id;
  readonly fromBytes: number;
  readonly toBytes: number;
}

export type PatchStep<Id> =
  | { readonly kind: 'keep'; readonly id: Id }
  | {
      readonly kind: 'write';
      readonly fromBytes: number;
      readonly toBytes: number;
      /** The parent's chunk that begins there, if some of its bytes stay. */
      readonly old: PlacedChunk<Id> | undefined;
    };

export type WriteStep<Id> = Extract<PatchStep<Id>, { readonly kind: 'write' }>;

export interface PatchedSize<Id> {
  /** The parent's, one after another from 0. */
  readonly chunks: readonly PlacedChunk<Id>[];
  readonly sizeBytes: number;
  readonly spans: readonly Span[];
  /** The size of chunks, if both the parent's and the new ones have a fixed one. */
  readonly fixedBytes: number | undefined;
}

/** Throws where what lies beyond the parent's end is not covered: zeros there would be a guess. */
export function patchSteps<Id>(file: PatchedSize<Id>): PatchStep<Id>[] {
  const { chunks, sizeBytes, spans } = file;
  checkSpans(spans, sizeBytes);
  const parentBytes = chunks.at(-1)?.toBytes ?? 0;
  const steps: PatchStep<Id>[] = [];
  let span = 0;
  for (let number = 0, fromBytes = 0; fromBytes < sizeBytes; number += 1) {
    const toBytes = endOf(number, file, parentBytes);
    while (span < spans.length && endOfSpan(spans[span]) <= fromBytes) span += 1;
    const chunk = chunks[number];
    const keptTo = Math.min(toBytes, chunk?.toBytes ?? fromBytes);
    const { isTouched, isOldUsed, coveredTo } = coverage({ fromBytes, toBytes, keptTo }, spans, span);
    if (coveredTo < toBytes) throw new Error(`ranges do not cover what the file grew by, at ${coveredTo}`);
    if (!isTouched && chunk?.toBytes === toBytes) steps.push({ kind: 'keep', id: chunk.id });
    else steps.push({ kind: 'write', fromBytes, toBytes, old: isOldUsed ? chunk : undefined });
    fromBytes = toBytes;
  }
  return steps;
}

function checkSpans(spans: readonly Span[], sizeBytes: number): void {
  let endBytes = 0;
  for (const { offset, length } of spans) {
    if (offset < endBytes || offset + length > sizeBytes)
      throw new Error(`a span from ${offset} of ${length} bytes overlaps or leaves the file`);
    endBytes = offset + length;
  }
}

/** Chunks end where the parent's do, cut at the new end; beyond the parent's end they have the largest size. */
function endOf<Id>(number: number, { chunks, sizeBytes, fixedBytes }: PatchedSize<Id>, parentBytes: number): number {
  if (fixedBytes !== undefined) return Math.min((number + 1) * fixedBytes, sizeBytes);
  const end = chunks[number]?.toBytes ?? parentBytes + (number - chunks.length + 1) * chunkMaxBytes;
  return Math.min(end, sizeBytes);
}

const endOfSpan = (span: Span | undefined): number => (span === undefined ? 0 : span.offset + span.length);

/** What spans, from number `first` on, leave of a chunk: of its old bytes, which end at `keptTo`, and behind them. */
function coverage(
  { fromBytes, toBytes, keptTo }: { readonly fromBytes: number; readonly toBytes: number; readonly keptTo: number },
  spans: readonly Span[],
  first: number,
): { readonly isTouched: boolean; readonly isOldUsed: boolean; readonly coveredTo: number } {
  let isTouched = false;
  let isOldUsed = false;
  let coveredTo = fromBytes;
  for (let at = first; at < spans.length; at += 1) {
    const { offset, length } = spans[at] as Span;
    if (offset >= toBytes) break;
    if (length === 0) continue;
    isTouched = true;
    if (offset > coveredTo) {
      isOldUsed ||= coveredTo < keptTo;
      if (offset > Math.max(coveredTo, keptTo)) return { isTouched, isOldUsed, coveredTo: Math.max(coveredTo, keptTo) };
    }
    coveredTo = Math.max(coveredTo, offset + length);
  }
  isOldUsed ||= coveredTo < keptTo;
  return { isTouched, isOldUsed, coveredTo: Math.max(coveredTo, keptTo) };
}

/** Steps that are put together in one piece of memory: as many as fit, one at least. */
export function stretchesOf<Id>(steps: readonly PatchStep<Id>[], stretchMaxBytes: number): WriteStep<Id>[][] {
  const stretches: WriteStep<Id>[][] = [];
  let sizeBytes = 0;
  for (const step of steps) {
    if (step.kind === 'keep') continue;
    const stepBytes = step.toBytes - step.fromBytes;
    const last = stretches.at(-1);
    if (last !== undefined && sizeBytes + stepBytes <= stretchMaxBytes) {
      last.push(step);
      sizeBytes += stepBytes;
    } else {
      stretches.push([step]);
      sizeBytes = stepBytes;
    }
  }
  return stretches;
}
