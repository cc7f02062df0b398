// Backups that a journal can be replayed upon, with where in it they begin: as their snapshots say, or, where restic rewrote a
// snapshot and dropped what it does not know, as the facts inside say.
import { AppError } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { journalStretchSchema } from '../../repository/journal/place.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { workersFor, type Workers } from '../../repository/worker-pool.ts';
import type { JournalStretch } from '../../sources/journal.ts';
import { recoveryReader, type PointParts } from '../restore/recovery-reader.ts';

export interface JournalBase extends JournalStretch {
  readonly snapshot: StoredSnapshot;
}

export interface FindBasesOptions {
  /** If its index is loaded already. */
  readonly indexed?: IndexedRepository | undefined;
  /** Threads with the repository's keys; its own if absent. */
  readonly pool?: Workers | undefined;
  readonly signal: AbortSignal;
}

/** Rejects with `REPOSITORY_DAMAGED` if of any snapshot it can't be known. */
export async function findBases(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  { indexed: loaded, pool: given, signal }: FindBasesOptions,
): Promise<JournalBase[]> {
  const told = snapshots.flatMap((snapshot) => {
    const journal = snapshot.lifeboat?.journal;
    return journal === undefined ? [] : [{ ...journal, snapshot }];
  });
  const rewritten = snapshots.filter(({ lifeboat }) => lifeboat === undefined);
  if (rewritten.length === 0) return told;
  const indexed = loaded ?? { repository, index: await loadIndex(repository, signal) };
  await using pool = workersFor(repository, given);
  const bases = [...told];
  await forEachLimited(rewritten, repository.store.properties.connectionsMax, async (snapshot) => {
    const journal = await stretchInFacts({ indexed, pool, snapshot }, signal);
    if (journal !== undefined) bases.push({ ...journal, snapshot });
  });
  return bases;
}

async function stretchInFacts(point: PointParts, signal: AbortSignal): Promise<JournalStretch | undefined> {
  const { journal } = await recoveryReader(point).facts(signal);
  if (journal === undefined) return undefined;
  const parsed = journalStretchSchema.safeParse(journal);
  if (parsed.success) return parsed.data;
  const id = point.snapshot.id.slice(0, 8);
  throw new AppError('REPOSITORY_DAMAGED', `the facts of snapshot ${id} name no stretch of a journal`, {
    hint: `Remove it with 'lifeboat repository forget ${id}', or use the version of this program that wrote it.`,
    cause: parsed.error,
  });
}
