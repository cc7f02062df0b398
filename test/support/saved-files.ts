// Backups of single made-up files, and what is stored of them.
import { expect } from 'vitest';
import { syntheticMetadata } from '../../src/base/synthetic-metadata.ts';
import { backup, type BackupResult } from '../../src/operations/backup/backup.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { readContent } from '../../src/repository/read-content.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { findNode } from '../../src/repository/walk.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import type { Content, Entry, PatchedEntry } from '../../src/sources/source.ts';
import { madeSource, type MadeSource } from './made-source.ts';
import { createRepository, noSignal } from './repository.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface SavedFiles extends AsyncDisposable {
  readonly repository: Repository;
  /** Backups of one host are parents of one another. */
  save(entries: MadeSource['entries'], host: string, into?: Repository): Promise<BackupResult>;
  /** In the pieces in which it is stored. */
  piecesOf(saved: BackupResult, path: string): Promise<Buffer[]>;
}

/** `pagedBytes`: the files consist of pages, in a source of so many bytes. */
export async function savedFiles(pagedBytes?: number): Promise<SavedFiles> {
  const folder = await temporaryFolder();
  const repository = await createRepository(folder.path);
  const pool = new WorkerPool(repository);
  return {
    repository,
    save(entries, host, into = repository) {
      const source = madeSource({ entries, pagedBytes });
      return backup(into, source, { host, component: 'file', programVersion: 'test', signal: noSignal, pool });
    },
    async piecesOf({ snapshot }, path) {
      const indexed = { repository, index: await loadIndex(repository, noSignal) };
      const node = await findNode(indexed, snapshot.tree, { path, signal: noSignal });
      const pieces = await Array.fromAsync(readContent(indexed, node?.content ?? [], { pool, signal: noSignal }));
      expect(node?.sizeBytes).toBe(pieces.reduce((sum, { length }) => sum + length, 0));
      return pieces;
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const metadata = (sizeBytes: number) => ({ ...syntheticMetadata('file', 0n), sizeBytes });

export function wholeFile(path: string, content: Content, sizeBytes: number): Entry {
  return { kind: 'whole', path, metadata: metadata(sizeBytes), content };
}

/** In pieces of odd sizes, as they come from a socket. */
export function streamedFile(path: string, bytes: Buffer): Entry {
  const content: Content = {
    from: 'stream',
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *open() {
      for (let at = 0; at < bytes.length; at += 32_123) yield bytes.subarray(at, at + 32_123);
    },
  };
  return wholeFile(path, content, bytes.length);
}

export interface PatchedRange {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface FilePatches {
  readonly sizeBytes: number;
  readonly ranges: readonly PatchedRange[];
  /** Those of the ranges if absent. */
  readonly spans?: PatchedEntry['spans'] | undefined;
}

export function patchedFile(path: string, { sizeBytes, ranges, spans }: FilePatches): PatchedEntry {
  return {
    kind: 'patched',
    path,
    metadata: metadata(sizeBytes),
    spans: spans ?? ranges.map(({ offset, bytes }) => ({ offset, length: bytes.length })),
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *ranges() {
      yield* ranges;
    },
  };
}
