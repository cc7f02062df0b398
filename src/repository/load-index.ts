// Reads all index files into memory.
import { forEachLimited } from '../base/for-each-limited.ts';
import { BlobIndex } from './blob-index.ts';
import type { IndexId } from './ids.ts';
import { decodeIndex, type IndexedPack } from './index-file.ts';
import { fileName } from './layout.ts';
import { damaged, listIds, loadJson, type Repository } from './repository.ts';

/** Files decoded at once: each holds up to 50 000 blobs as objects for a moment. */
const filesAtOnce = 4;

export async function loadIndexFile(repository: Repository, id: IndexId, signal: AbortSignal): Promise<IndexedPack[]> {
  const json = await loadJson(repository, { kind: 'index', id }, signal);
  try {
    return decodeIndex(json);
  } catch (error) {
    throw damaged(fileName('index', id), error);
  }
}

/** Call it after the snapshots were listed: the other way round it may miss what a snapshot of just now needs. */
export async function loadIndex(repository: Repository, signal: AbortSignal): Promise<BlobIndex> {
  const index = new BlobIndex();
  await forEachLimited(await listIds(repository, 'index', signal), filesAtOnce, async (id) => {
    for (const pack of await loadIndexFile(repository, id, signal)) {
      if (pack.entries[0]?.type === 'tree') repository.treePacks?.add(fileName('data', pack.id));
      index.addPack(pack.id, pack.entries);
    }
  });
  return index;
}
