// What `restore` and `prove` begin with: a recovery point, read under a shared lock, and the source that knows its kind.
import assert from 'node:assert/strict';
import { isAppError } from '../base/errors.ts';
import { componentSchema, type Component } from '../model/component.ts';
import { completePolicy } from '../model/policy.ts';
import { recoveryReader, type PointParts } from '../operations/restore/recovery-reader.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { SnapshotId } from '../repository/ids.ts';
import { loadIndex } from '../repository/load-index.ts';
import { acquireLock } from '../repository/lock.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshot, type StoredSnapshot } from '../repository/snapshot.ts';
import { WorkerPool } from '../repository/worker-pool.ts';
import type { CommandContext } from './context.ts';

export interface ReadLock extends AsyncDisposable {
  /** Aborts when the lock is lost: from then on a prune may remove what is being read. */
  readonly signal: AbortSignal;
}

export function noLock(): ReadLock {
  return { signal: new AbortController().signal, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** A lock keeps a prune away while data is read. Where none may be written, reading without one beats not reading. */
export async function sharedLock(repository: Repository, context: CommandContext): Promise<ReadLock> {
  const { signal, settings, progress } = context;
  try {
    return await acquireLock(repository, { isExclusive: false, signal, waitMs: settings.lockWaitMs });
  } catch (error) {
    if (!isAppError(error, 'STORE_DENIED', 'STORE_READ_ONLY', 'STORE_FULL')) throw error;
    progress.note(`reading without a lock: ${error.message}`);
    return noLock();
  }
}

export interface OpenPoint extends PointParts, AsyncDisposable {}

export async function openPoint(repository: Repository, id: SnapshotId, signal: AbortSignal): Promise<OpenPoint> {
  const { points, pool } = await openPoints(repository, [id], signal);
  const [point] = points;
  assert.ok(point !== undefined);
  return { ...point, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

export interface OpenPoints extends AsyncDisposable {
  /** In the order of the ids. */
  readonly points: readonly PointParts[];
  readonly pool: WorkerPool;
}

/** Several points of one repository, with one index and one pool. */
export async function openPoints(
  repository: Repository,
  ids: readonly SnapshotId[],
  signal: AbortSignal,
): Promise<OpenPoints> {
  // Snapshots before the index: what a snapshot needs is then sure to be in it.
  const snapshots: StoredSnapshot[] = [];
  for (const id of ids) snapshots.push(await loadSnapshot(repository, id, signal));
  const indexed = { repository, index: await loadIndex(repository, signal) };
  const pool = new WorkerPool(repository);
  const points = snapshots.map((snapshot) => ({ snapshot, indexed, pool }));
  return { points, pool, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

/** The component that made a snapshot, as the configuration describes it today. */
export async function configuredComponent(
  snapshot: StoredSnapshot,
  context: CommandContext,
): Promise<Component | undefined> {
  const configuration = await context.findConfiguration();
  const name = componentOf(snapshot);
  return configuration?.application.components.find((component) => component.name === name);
}

/** A component of the snapshot's kind, for where no configuration describes it: enough for a sandbox or a named target. */
export async function componentLike(point: PointParts, signal: AbortSignal): Promise<Component> {
  const { snapshot } = point;
  const kind = await kindOf(point, signal);
  const paths = snapshot.paths.length === 0 ? ['/'] : snapshot.paths;
  const settings = {
    type: kind,
    ...(kind === 'files' && { paths }),
    ...(kind === 'config' && { files: paths }),
  };
  const parsed = componentSchema.safeParse(settings);
  const component = parsed.success ? parsed.data : componentSchema.parse({ type: 'files', paths });
  return { ...component, name: componentOf(snapshot) ?? 'files', policy: completePolicy({ checks: [] }, []) };
}

/** As the snapshot says, or, where restic rewrote it and dropped what it does not know, the facts inside. */
async function kindOf(point: PointParts, signal: AbortSignal): Promise<unknown> {
  const { lifeboat } = point.snapshot;
  if (lifeboat !== undefined) return lifeboat.source ?? 'files';
  const { source } = await recoveryReader(point).facts(signal);
  return source ?? 'files';
}
