// What a test of backup and restore needs around it: an empty repository, folders for data and target, worker threads that
// all tests of a file share.
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { backup, type BackupOptions, type BackupResult } from '../../src/operations/backup/backup.ts';
import type { TreeRestoreResult } from '../../src/operations/restore/tree-restore.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import type { Source } from '../../src/sources/source.ts';
import { listFolder } from './compare-folders.ts';
import {
  backupFolder,
  cloneRepository,
  createRepository,
  noSignal,
  restoreTo,
  type RestoreToRequest,
} from './repository.ts';
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
  backUpFrom(source: Source, options?: Partial<BackupOptions>): Promise<BackupResult>;
  /** The content of `data` into the target itself. */
  restore(request?: Partial<RestoreToRequest>, from?: Repository): Promise<TreeRestoreResult>;
  /** What is in the target, itself apart, is what is in `data`, metadata and all. */
  expectAllBack(): void;
}

/** The scene of the test at hand: each test finds a fresh one, and may not use it outside of itself. */
export function useScenes(): Scene {
  let home: TemporaryFolder;
  let empty: Repository;
  let pool: WorkerPool;
  let place: TemporaryFolder;
  let repository: Repository;

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
    repository = cloneRepository(empty, place.path);
    mkdirSync(scene.data);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const scene: Scene = {
    get folder() {
      return place.path;
    },
    get repository() {
      return repository;
    },
    get pool() {
      return pool;
    },
    get data() {
      return join(place.path, 'data');
    },
    get target() {
      return join(place.path, 'target');
    },
    backUp: (options, into = repository) => backupFolder(into, scene.data, { pool, ...options }),
    backUpFrom: (source, options) =>
      backup(repository, source, { component: 'files', programVersion: 'test', signal: noSignal, pool, ...options }),
    restore: (request, from = repository) =>
      restoreTo(from, { pool, target: scene.target, base: scene.data, ...request }),
    expectAllBack: () => expect(listFolder(scene.target).slice(1)).toEqual(listFolder(scene.data).slice(1)),
  };
  return scene;
}

/** For work without rights: others may read what is there, and nobody but its owner may change it. */
export function openForAll(at: string): void {
  const isFolder = lstatSync(at).isDirectory();
  chmodSync(at, isFolder ? 0o755 : 0o444);
  if (isFolder) for (const name of readdirSync(at)) openForAll(join(at, name));
}
