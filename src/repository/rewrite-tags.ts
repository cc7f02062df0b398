// Changes the tags of snapshots. Files are never changed: the new snapshot is written first, then the old one removed.
import type { SnapshotId } from './ids.ts';
import { acquireLock } from './lock.ts';
import { removeFiles } from './remove-files.ts';
import type { Repository } from './repository.ts';
import { loadSnapshot, saveSnapshot, withoutId, type StoredSnapshot } from './snapshot.ts';

export interface TagChange {
  /** Instead of all tags there are. */
  readonly set?: readonly string[] | undefined;
  readonly add?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
}

export interface RewriteTagsOptions extends TagChange {
  readonly snapshots: readonly SnapshotId[];
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
}

export interface RewrittenSnapshot {
  readonly from: SnapshotId;
  readonly to: SnapshotId;
  readonly tags: readonly string[];
}

export function changeTags(tags: readonly string[], { set, add = [], remove = [] }: TagChange): string[] {
  const removed = new Set(remove);
  return [...new Set([...(set ?? tags), ...add])].filter((tag) => !removed.has(tag));
}

export interface TagDecision {
  readonly snapshot: StoredSnapshot;
  /** That it is to have. */
  readonly tags: readonly string[];
}

/** The snapshots that would change; touches nothing. */
export async function decideTags(
  repository: Repository,
  options: Omit<RewriteTagsOptions, 'lockWaitMs'>,
): Promise<TagDecision[]> {
  const decisions: TagDecision[] = [];
  for (const id of new Set(options.snapshots)) {
    const snapshot = await loadSnapshot(repository, id, options.signal);
    const tags = changeTags(snapshot.tags, options);
    if (tags.join('\0') !== snapshot.tags.join('\0')) decisions.push({ snapshot, tags });
  }
  return decisions;
}

/** Returns the snapshots that changed. `original` names the first in the chain, as with restic. */
export async function rewriteTags(repository: Repository, options: RewriteTagsOptions): Promise<RewrittenSnapshot[]> {
  const { signal: outer, lockWaitMs: waitMs = 0 } = options;
  await using lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  const rewritten: RewrittenSnapshot[] = [];
  for (const { snapshot, tags } of await decideTags(repository, { ...options, signal })) {
    const { id } = snapshot;
    await lock.check();
    const changed = { ...withoutId(snapshot), tags, original: snapshot.original ?? id };
    const saved = await saveSnapshot(repository, changed, signal);
    await removeFiles(repository, { kind: 'snapshots', ids: [id] }, { lock, signal });
    rewritten.push({ from: id, to: saved.id, tags });
  }
  return rewritten;
}
