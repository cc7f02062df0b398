// What a word for one snapshot means, and how it is opened for reading: what `ls` and `dump` begin with.
import type { PointRequest } from '../operations/restore/select-point.ts';
import type { IndexedRepository } from '../repository/blob-reader.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import type { CommandContext } from './context.ts';
import { noteUnread, type PointSearch } from './point-search.ts';

/** Help for every argument that names a snapshot. */
export const snapshotWords = 'latest, latest-proven, before:<time>, or the first digits of an id';
/** Where a component's name stands for its newest snapshot too. */
export const snapshotOrComponentWords = `a component, for its newest, or ${snapshotWords}`;

export interface ReadableSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly indexed: IndexedRepository;
  /** The name of the repository it is read from. */
  readonly repository: string;
}

/** The snapshot and an index to read it with. Snapshots first: the index then surely has what they need. */
export async function openSnapshot(
  search: PointSearch,
  request: PointRequest,
  context: Pick<CommandContext, 'signal' | 'progress'>,
): Promise<ReadableSnapshot> {
  const meant = request.component === undefined ? await search.meaningOf(request.from) : request;
  const { opened, snapshot } = await search.find(meant);
  noteUnread(search.unread, context);
  const { repository, settings } = opened;
  const index = await loadIndex(repository, context.signal);
  return { snapshot, indexed: { repository, index }, repository: settings.name };
}
