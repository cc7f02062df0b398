// Names of a repository's files inside its store.
import type { Store } from '../storage/store.ts';
import { isId, type IndexId, type KeyId, type LockId, type PackId, type SnapshotId } from './ids.ts';

/** Kinds of files and the ids that name them. */
export interface FileIds {
  data: PackId;
  index: IndexId;
  snapshots: SnapshotId;
  locks: LockId;
  keys: KeyId;
}

export type FileKind = keyof FileIds;

export const configName = 'config';

export function fileName<Kind extends FileKind>(kind: Kind, id: FileIds[Kind]): string {
  return kind === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${kind}/${id}`;
}

export interface ListedFile<Kind extends FileKind> {
  readonly id: FileIds[Kind];
  readonly sizeBytes: number;
}

/** All files of a kind. Names that are not ids (temporary files, notes of people) are passed over. */
export async function* listFiles<Kind extends FileKind>(
  store: Store,
  kind: Kind,
  signal: AbortSignal,
): AsyncGenerator<ListedFile<Kind>> {
  for await (const { name, sizeBytes } of store.list(`${kind}/`, { signal })) {
    const id = name.slice(name.lastIndexOf('/') + 1);
    if (isId(id) && name === fileName(kind, id as FileIds[Kind])) yield { id: id as FileIds[Kind], sizeBytes };
  }
}
