// Entry of a worker thread: takes one task at a time, answers with its result or its error.
import { parentPort, workerData } from 'node:worker_threads';
import type { Chunker } from './chunker.ts';
import { createChunker, type ChunkerName } from './create-chunker.ts';
import { sealFrames } from './journal/seal-frames.ts';
import { resealBlobs } from './worker-reseal.ts';
import { asBuffers } from './seal.ts';
import { hashPieces, scanBytes, scanFiles, scanPart, sealBlobs } from './worker-scan.ts';
import type { WorkerSettings, WorkerTaskKind, WorkerTasks } from './worker-protocol.ts';
import { compareChunks, flush, openBlobs, openBlobsInto, restoreBlobs } from './worker-restore.ts';

type Message = {
  [Kind in WorkerTaskKind]: { number: number; kind: Kind; task: WorkerTasks[Kind]['task'] };
}[WorkerTaskKind];

const settings = workerData as WorkerSettings;
const keys = asBuffers(settings.keys);
const chunkers = new Map<ChunkerName, Chunker>();

function chunkerFor(name: ChunkerName): Chunker {
  const chunker = chunkers.get(name) ?? createChunker(name, settings.chunker);
  chunkers.set(name, chunker);
  return chunker;
}

function perform(message: Message): unknown {
  switch (message.kind) {
    case 'scanFiles':
      return scanFiles(message.task);
    case 'scanPart':
      return scanPart(message.task, chunkerFor(message.task.chunker));
    case 'scanBytes':
      return scanBytes(message.task, chunkerFor(message.task.chunker));
    case 'seal':
      return sealBlobs(keys, message.task);
    case 'restore':
      return restoreBlobs(keys, message.task);
    case 'flush':
      return flush(message.task);
    case 'compare':
      return compareChunks(message.task);
    case 'reseal':
      return resealBlobs(keys, message.task);
    case 'hash':
      return hashPieces(message.task);
    case 'openInto':
      return openBlobsInto(keys, message.task);
    case 'sealFrames':
      return sealFrames({ ...message.task, keys: asBuffers(message.task.keys) });
    case 'open':
      return openBlobs(keys, message.task);
    default:
      return message satisfies never;
  }
}

/** Bulk bytes change hands instead of being copied. */
function buffersOf(kind: WorkerTaskKind, result: unknown): ArrayBuffer[] {
  if (kind !== 'open') return [];
  const contents = (result as WorkerTasks['open']['result']).map((blob) =>
    blob.outcome === 'opened' ? blob.content?.buffer : undefined,
  );
  return contents.filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer);
}

parentPort?.on('message', (message: Message) => {
  try {
    const result = perform(message);
    parentPort?.postMessage({ number: message.number, result }, buffersOf(message.kind, result));
  } catch (error) {
    parentPort?.postMessage({
      number: message.number,
      error: error instanceof Error ? error : new Error(String(error)),
    });
  }
});
