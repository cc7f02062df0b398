// What a test of backup and restore needs around it: an empty repository, folders for data and target, worker threads that
// all tests of a file share.
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { BackupOptions, BackupResult } from '../../src/operations/backup/backup.ts';
import type { TreeRestoreResult } from '../../src/operations/restore/tree-restore.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { backupFolder, cloneRepository, createRepository, restoreTo, type RestoreToRequest } from './repository.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface Scene {
  /** Holds all the rest. */
  readonly folder: string;
  readonly repository: Repository;
  readonly pool: WorkerPool;
  /** An empty folder to back up. */
  readonly data: string;
  /** Not there yet. */
  readonly target: string;
  backUp(options?: Partial<BackupOptions>, into?: Repository): Promise<BackupResult>;
  /** The content of `data` into the target itself. */
  restore(request?: Partial<RestoreToRequest>, from?: Repository): Promise<TreeRestoreResult>;
}

/** Calls `set` with a fresh scene before each test. */
export function useScenes(set: (scene: Scene) => void): void {
  let home: TemporaryFolder;
  let empty: Repository;
  let pool: WorkerPool;
  let place: TemporaryFolder;

  beforeAll(async () => {
    home = await temporaryFolder();
    empty = await createRepository(home.path);
    pool = new WorkerPool(empty);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    place = await temporaryFolder();
    const folder = place.path;
    const data = join(folder, 'data');
    const target = join(folder, 'target');
    const repository = cloneRepository(empty, folder);
    mkdirSync(data);
    set({
      folder,
      repository,
      pool,
      data,
      target,
      backUp: (options, into = repository) => backupFolder(into, data, { pool, ...options }),
      restore: (request, from = repository) => restoreTo(from, { pool, target, base: data, ...request }),
    });
  });
  afterEach(() => place[Symbol.asyncDispose]());
}

/** For work without rights: others may read what is there, and nobody but its owner may change it. */
export function openForAll(at: string): void {
  const isFolder = lstatSync(at).isDirectory();
  chmodSync(at, isFolder ? 0o755 : 0o444);
  if (isFolder) for (const name of readdirSync(at)) openForAll(join(at, name));
}
