// A repository on the local disk, with a cheap key, and the verbs that tests of several layers need.
import { cpSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { backup, type BackupOptions, type BackupResult } from '../../src/operations/backup/backup.ts';
import { decideTreeRestore, type TreeRestoreRequest } from '../../src/operations/restore/tree-decision.ts';
import { executeTreeRestore, type TreeRestoreResult } from '../../src/operations/restore/tree-restore.ts';
import type { IndexedRepository } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { initRepository, openRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import { workersFor, type Workers } from '../../src/repository/worker-pool.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import { localStore } from '../../src/storage/local/store.ts';

export const testPassword = 'correct horse';
export const cheapScrypt = { N: 1024, r: 8, p: 1 };
export const noSignal: AbortSignal = new AbortController().signal;

export async function createRepository(folder: string, chunkerDefault: 'gear' | 'rabin' = 'gear'): Promise<Repository> {
  const store = localStore(join(folder, 'repository'));
  const options = { password: testPassword, signal: noSignal, chunkerDefault, scryptCost: cheapScrypt };
  return { ...(await initRepository(store, options)), lockSettings };
}

/** Nobody else is there to wait for. */
const lockSettings = { settleMs: 0 };

export async function reopen(folder: string): Promise<Repository> {
  const store = localStore(join(folder, 'repository'));
  return { ...(await openRepository(store, { password: testPassword, signal: noSignal })), lockSettings };
}

/** A fresh repository in `folder` with the keys of one that holds nothing yet, so that both share worker threads. */
export function cloneRepository(empty: Repository, folder: string): Repository {
  const path = join(folder, 'repository');
  cpSync(empty.store.properties.location, path, { recursive: true });
  return { ...empty, store: localStore(path) };
}

export async function openIndexed(folder: string): Promise<IndexedRepository> {
  const repository = await reopen(folder);
  return { repository, index: await loadIndex(repository, noSignal) };
}

export function backupFolder(
  repository: Repository,
  path: string,
  options: Partial<BackupOptions> = {},
): Promise<BackupResult> {
  const fixed = { host: hostname(), component: 'files', programVersion: 'test', signal: noSignal };
  return backup(repository, filesSource({ paths: [path] }), { ...fixed, ...options });
}

export async function latestSnapshot(repository: Repository): Promise<StoredSnapshot> {
  const snapshot = (await loadSnapshots(repository, noSignal)).at(-1);
  if (snapshot === undefined) throw new Error('the repository has no snapshot');
  return snapshot;
}

export interface RestoreToRequest extends Omit<TreeRestoreRequest, 'snapshot'> {
  readonly snapshot?: StoredSnapshot;
  /** Own threads if absent. */
  readonly pool?: Workers | undefined;
  readonly signal?: AbortSignal;
}

export async function restoreTo(repository: Repository, request: RestoreToRequest): Promise<TreeRestoreResult> {
  const { pool: given, signal = noSignal, ...rest } = request;
  const snapshot = rest.snapshot ?? (await latestSnapshot(repository));
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  await using pool = workersFor(repository, given);
  const decision = await decideTreeRestore(indexed, { ...rest, snapshot }, signal);
  return await executeTreeRestore(indexed, decision, { pool, signal });
}
