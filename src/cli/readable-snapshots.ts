// The snapshots of a repository for whoever looks for something in them: one that is damaged must not keep anybody from
// the others. Whoever deletes, or says how things stand, needs all of them and uses `loadSnapshots`.
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import type { CommandContext } from './context.ts';
import { shortId } from './style.ts';

/** Oldest first. Those that can't be read are told of and left out. */
export function readableSnapshots(
  repository: Repository,
  { signal, progress }: Pick<CommandContext, 'signal' | 'progress'>,
): Promise<StoredSnapshot[]> {
  return loadSnapshots(repository, signal, (id, { message }) => {
    progress.note(`warning: snapshot ${shortId(id)} was left out: ${message}`);
  });
}
