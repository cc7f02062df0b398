// A repository as a standby sees it, for weeks: which backups there are now, and what is in one. It is locked only while something of a
// backup is read, so that no prune has to wait for a standby.
import { AppError, isAppError } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { JsonObject } from '../../base/json.ts';
import type { SnapshotId } from '../../repository/ids.ts';
import { journalStretchSchema } from '../../repository/journal/place.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { isMissing, listIds, type Repository } from '../../repository/repository.ts';
import { loadSnapshot, type StoredSnapshot } from '../../repository/snapshot.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import { parseTime } from '../../repository/go-text.ts';
import type { ReplayBase } from '../../sources/replay.ts';
import type { StandbyRepository } from '../../sources/standby.ts';
import { readJournals } from '../journal/reader.ts';
import { type PointParts, recoveryReader } from '../restore/recovery-reader.ts';
import { componentOf } from '../restore/select-point.ts';

export interface StandbyRepositoryParts {
  readonly repository: Repository;
  readonly component: string;
  /** Of the application; snapshots of others are left out. */
  readonly host: string | undefined;
  /** Keeps prunes away. */
  lock(): Promise<AsyncDisposable & { readonly signal: AbortSignal }>;
}

export interface LookedAtRepository extends StandbyRepository {
  /** A backup by its id, which is that of its root tree. */
  readingPoint<T>(
    base: ReplayBase['id'],
    work: (point: PointParts, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** Undefined if it is kept no more. */
  snapshotOf(base: ReplayBase['id']): StoredSnapshot | undefined;
}

export function standbyRepository(parts: StandbyRepositoryParts): LookedAtRepository {
  const { repository } = parts;
  const loaded = new Map<SnapshotId, StoredSnapshot>();
  const facts = new Map<string, JsonObject>();

  async function snapshots(signal: AbortSignal): Promise<StoredSnapshot[]> {
    await loadNew(repository, loaded, signal);
    return [...loaded.values()]
      .filter((one) => componentOf(one) === parts.component && (parts.host ?? one.hostname) === one.hostname)
      .filter(({ lifeboat }) => lifeboat === undefined || lifeboat.journal !== undefined)
      .toSorted((left, right) => (parseTime(left.time) < parseTime(right.time) ? -1 : 1));
  }

  async function reading<T>(
    work: (open: Omit<PointParts, 'snapshot'>, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    await using lock = await parts.lock();
    const until = AbortSignal.any([signal, lock.signal]);
    const indexed = { repository, index: await loadIndex(repository, until) };
    await using pool = new WorkerPool(repository);
    return await work({ indexed, pool }, until);
  }

  async function learnFacts(unknown: readonly StoredSnapshot[], signal: AbortSignal): Promise<void> {
    await reading(async (open, until) => {
      for (const snapshot of unknown) {
        try {
          facts.set(snapshot.tree, await recoveryReader({ ...open, snapshot }).facts(until));
        } catch (error) {
          if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
          facts.set(snapshot.tree, {}); // Nothing can begin with it.
        }
      }
    }, signal);
  }

  const snapshotOf = (base: string): StoredSnapshot | undefined =>
    [...loaded.values()].findLast(({ tree }) => tree === base);

  const result: LookedAtRepository = {
    snapshotOf,
    journal: readJournals(repository),
    async bases(signal) {
      const all = await snapshots(signal);
      const trees = new Set<string>(all.map(({ tree }) => tree));
      for (const tree of facts.keys()) if (!trees.has(tree)) facts.delete(tree);
      const unknown = all.filter(({ tree }) => !facts.has(tree));
      if (unknown.length > 0) await learnFacts(unknown, signal);
      const byTree = new Map(all.map((snapshot) => [snapshot.tree, snapshot]));
      return [...byTree.values()].map(({ tree, lifeboat }) => {
        const known = facts.get(tree) ?? {};
        // Where restic rewrote the snapshot the facts inside still say it.
        const journal = lifeboat?.journal ?? journalStretchSchema.safeParse(known['journal']).data;
        return { id: tree, journal, facts: () => Promise.resolve(known) };
      });
    },
    async readingPoint(base, work, signal) {
      const snapshot = (await snapshots(signal)).findLast(({ tree }) => tree === base);
      if (snapshot === undefined) throw gone(base);
      return reading((open, until) => work({ ...open, snapshot }, until), signal);
    },
    reading: (base, work, signal) =>
      result.readingPoint(base, (point, until) => work(recoveryReader(point), until), signal),
  };
  return result;
}

/** One that can't be opened, for a standby that is to take over all the same. */
export function awayRepository({ message, hint }: AppError): LookedAtRepository {
  const refuse = (): Promise<never> =>
    Promise.reject(new AppError('NOT_FOUND', `no repository answers: ${message}`, { hint }));
  const journal = { branches: refuse, segments: refuse, facts: refuse, read: refuse, readOn: refuse };
  return { journal, bases: refuse, reading: refuse, readingPoint: refuse, snapshotOf: () => undefined };
}

/** Brings what is known of snapshots up to date. */
async function loadNew(
  repository: Repository,
  loaded: Map<SnapshotId, StoredSnapshot>,
  signal: AbortSignal,
): Promise<void> {
  const ids = new Set(await listIds(repository, 'snapshots', signal));
  for (const id of loaded.keys()) if (!ids.has(id)) loaded.delete(id);
  const unknown = [...ids].filter((id) => !loaded.has(id));
  await forEachLimited(unknown, repository.store.properties.connectionsMax, async (id) => {
    try {
      loaded.set(id, await loadSnapshot(repository, id, signal));
    } catch (error) {
      // Removed since it was listed; or damaged, which `verify` tells.
      if (!isMissing(error) && !isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    }
  });
}

/** Somebody removed it while we were about to read it. */
function gone(tree: string): AppError {
  return new AppError('RESTORE_FAILED', `the backup with the tree ${tree.slice(0, 8)} is not kept any more`, {
    hint: 'Another one is looked for.',
  });
}
