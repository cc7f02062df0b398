// Entry of a worker thread: takes one task at a time, answers with its result or its error.
import { parentPort, workerData } from 'node:worker_threads';
import type { Chunker } from './chunker.ts';
import { createChunker, type ChunkerName } from './create-chunker.ts';
import { resealBlobs } from './worker-reseal.ts';
import type { KeyTriple } from './seal.ts';
import { scanBytes, scanFiles, scanPart, sealBlobs } from './worker-scan.ts';
import type { WorkerSettings, WorkerTaskKind, WorkerTasks } from './worker-protocol.ts';
import { compareChunks, openBlobs, restoreBlobs } from './worker-restore.ts';

type Message = {
  [Kind in WorkerTaskKind]: { number: number; kind: Kind; task: WorkerTasks[Kind]['task'] };
}[WorkerTaskKind];

const settings = workerData as WorkerSettings;
const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const keys: KeyTriple = {
  encrypt: buffer(settings.keys.encrypt),
  macK: buffer(settings.keys.macK),
  macR: buffer(settings.keys.macR),
};
const chunkers = new Map<ChunkerName, Chunker>();

function chunkerFor(name: ChunkerName): Chunker {
  const chunker = chunkers.get(name) ?? createChunker(name, settings.chunker);
  chunkers.set(name, chunker);
  return chunker;
}

function perform(message: Message): { result: unknown; transfer: ArrayBuffer[] } {
  switch (message.kind) {
    case 'scanFiles':
      return { result: scanFiles(message.task), transfer: [] };
    case 'scanPart':
      return { result: scanPart(message.task, chunkerFor(message.task.chunker)), transfer: [] };
    case 'scanBytes':
      return { result: scanBytes(message.task, chunkerFor(message.task.chunker)), transfer: [] };
    case 'seal': {
      const result = sealBlobs(keys, message.task);
      return { result, transfer: [result.bytes.buffer] };
    }
    case 'restore':
      return { result: restoreBlobs(keys, message.task), transfer: [] };
    case 'compare':
      return { result: compareChunks(message.task), transfer: [] };
    case 'reseal': {
      const result = resealBlobs(keys, message.task);
      return { result, transfer: [result.bytes.buffer] };
    }
    case 'open': {
      const result = openBlobs(keys, message.task);
      const contents = result.flatMap((blob) =>
        blob.outcome === 'opened' && blob.content !== undefined ? [blob.content.buffer] : [],
      );
      return { result, transfer: contents.filter((each): each is ArrayBuffer => each instanceof ArrayBuffer) };
    }
  }
}

parentPort?.on('message', (message: Message) => {
  try {
    const { result, transfer } = perform(message);
    parentPort?.postMessage({ number: message.number, result }, transfer);
  } catch (error) {
    parentPort?.postMessage({
      number: message.number,
      error: error instanceof Error ? error : new Error(String(error)),
    });
  }
});
