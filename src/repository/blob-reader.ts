// Reads single blobs: finds them, opens them, checks them; falls back to another copy if one is damaged.
import { AppError, isAppError, messageOf } from '../base/errors.ts';
import { openBlob } from './blob-codec.ts';
import type { BlobIndex } from './blob-index.ts';
import type { BlobId } from './ids.ts';
import { fileName } from './layout.ts';
import { PackCache } from './pack-cache.ts';
import type { BlobType } from './pack-header.ts';
import type { Repository } from './repository.ts';
import { decodeTree, type TreeNode } from './tree.ts';

export interface IndexedRepository {
  readonly repository: Repository;
  readonly index: BlobIndex;
  /** Whoever reads many trees reads them through it. */
  readonly packs?: PackCache | undefined;
}

/** The same repository, for reading many trees one after another. */
export function readingAhead(indexed: IndexedRepository): IndexedRepository {
  return indexed.packs === undefined ? { ...indexed, packs: new PackCache(indexed.repository.store) } : indexed;
}

export function blobMissing(type: BlobType, id: BlobId): AppError {
  return new AppError('REPOSITORY_DAMAGED', `${type} blob ${id} is in no index of the repository`, {
    hint: "Run 'lifeboat repository rebuild-index'; if that does not help, restore an older snapshot or copy the data back from another repository.",
  });
}

/** The content of a blob, checked against its id. Rejects with `REPOSITORY_DAMAGED` naming the pack files. */
export async function readBlob(
  { repository, index, packs }: IndexedRepository,
  blob: { readonly type: BlobType; readonly id: BlobId },
  signal: AbortSignal,
): Promise<Buffer> {
  const places = index.findAll(blob.type, blob.id);
  const problems: string[] = [];
  for (const { pack, offsetBytes: offset, lengthBytes: length, plainLengthBytes } of places) {
    const name = fileName('data', pack);
    try {
      const stored = await (packs ?? repository.store).get(name, { offset, length, signal });
      return Buffer.from(openBlob(repository.keys, stored, { id: blob.id, plainLengthBytes }));
    } catch (error) {
      signal.throwIfAborted();
      // A store that can't read one object (a bad sector) may have another copy.
      if (error instanceof AppError && !isAppError(error, 'OBJECT_MISSING', 'STORE_FAILED')) throw error;
      problems.push(`file ${name}: ${messageOf(error)}`);
    }
  }
  if (problems.length === 0) throw blobMissing(blob.type, blob.id);
  throw new AppError('REPOSITORY_DAMAGED', `${blob.type} blob ${blob.id} can't be read: ${problems.join('; ')}`, {
    hint: "Run 'lifeboat repository verify --read-data' to see the extent; copy the file back from another repository if there is one.",
  });
}

export async function readTree(indexed: IndexedRepository, id: BlobId, signal: AbortSignal): Promise<TreeNode[]> {
  const bytes = await readBlob(indexed, { type: 'tree', id }, signal);
  try {
    return decodeTree(bytes);
  } catch (error) {
    throw new AppError('REPOSITORY_DAMAGED', `tree ${id} is malformed: ${messageOf(error)}`, {
      hint: 'The program that wrote this snapshot wrote it wrongly; restore another snapshot.',
    });
  }
}
