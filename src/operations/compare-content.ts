// Whether a file on disk holds what a backup has of it: each chunk is hashed where it must lie.
import { plainBytesOf } from '../repository/blob-codec.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { Chunk } from '../repository/worker-protocol.ts';
import type { PointParts } from './restore/recovery-reader.ts';

/** Undefined if nothing differs; `missing`: a blob that the repository lacks. Rejects with Node's error where the file can't be read. */
export async function contentDifference(
  { indexed, pool }: Pick<PointParts, 'indexed' | 'pool'>,
  path: string,
  { content = [] }: Pick<TreeNode, 'content'>,
): Promise<'content' | { readonly missing: string } | undefined> {
  let offsetBytes = 0;
  const chunks: Chunk[] = [];
  for (const id of content) {
    const blob = indexed.index.find('data', id);
    if (blob === undefined) return { missing: `blob ${id}` };
    const lengthBytes = plainBytesOf(blob);
    chunks.push({ id, offsetBytes, lengthBytes });
    offsetBytes += lengthBytes;
  }
  const { equal, sizeBytes } = await pool.run('compare', { path, chunks });
  return equal.every(Boolean) && sizeBytes === offsetBytes ? undefined : 'content';
}
