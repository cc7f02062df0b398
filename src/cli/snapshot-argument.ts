// Opens a repository for reading one snapshot: what `ls`, `dump`, `find` and `diff` begin with.
import { componentOf, selectPoint, type PointRequest } from '../operations/restore/select-point.ts';
import type { IndexedRepository } from '../repository/blob-reader.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { isProvenFor } from './proofs.ts';
import { readableSnapshots } from './readable-snapshots.ts';

/** Help for every argument that names a snapshot. */
export const snapshotWords = 'latest, latest-proven, before:<time>, or the first digits of an id';
/** Where a component's name stands for its newest snapshot too. */
export const snapshotOrComponentWords = `a component, for its newest, or ${snapshotWords}`;

export interface ReadableSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly indexed: IndexedRepository;
}

/** The snapshot and an index to read it with. Snapshots first: the index then surely has what they need. */
export async function openSnapshot(
  { repository }: OpenedRepository,
  request: PointRequest,
  context: Pick<CommandContext, 'signal' | 'progress'>,
): Promise<ReadableSnapshot> {
  const { signal } = context;
  const snapshots = await readableSnapshots(repository, context);
  // As for `restore`, a component's name wins over the first digits of an id.
  const isComponent = request.component === undefined && snapshots.some((one) => componentOf(one) === request.from);
  const meant = isComponent ? { component: request.from, from: 'latest' } : request;
  const snapshot = selectPoint(snapshots, meant, await isProvenFor([meant.from], repository, signal));
  return { snapshot, indexed: { repository, index: await loadIndex(repository, signal) } };
}
