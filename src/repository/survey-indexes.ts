// Reads all index files and remembers, beside the blobs, what they say of packs: for verify and prune.
import { forEachLimited } from '../base/for-each-limited.ts';
import { BlobIndex } from './blob-index.ts';
import type { IndexId, PackId } from './ids.ts';
import type { IndexedPack } from './index-file.ts';
import { fileName } from './layout.ts';
import { loadIndexFile } from './load-index.ts';
import { isRawTree, packSizeOf, type BlobType } from './pack-header.ts';
import { listIds, type Repository } from './repository.ts';

/** What the indexes say of one pack. */
export interface SurveyedPack {
  /** That the file must have, computed from its entries. */
  readonly sizeBytes: number;
  readonly type: BlobType | 'mixed';
  readonly blobs: number;
  /** Trees in it are not compressed. */
  readonly hasRawTrees: boolean;
  /** How many index files list it. */
  listings: number;
  /** Two index files list it differently: one of them is wrong, or each holds a part. */
  isListedDifferently: boolean;
}

export interface IndexSurvey {
  readonly index: BlobIndex;
  readonly packs: ReadonlyMap<PackId, SurveyedPack>;
  /** The packs that each index file lists, and how many blobs it has. */
  readonly files: ReadonlyMap<IndexId, { readonly packs: readonly PackId[]; readonly blobs: number }>;
}

export interface SurveyOptions {
  readonly signal: AbortSignal;
  /** Told of index files that can't be read; it throws what it does not want to go on from. */
  onUnreadable(name: string, error: unknown): void;
}

const filesAtOnce = 4;

export async function surveyIndexes(repository: Repository, options: SurveyOptions): Promise<IndexSurvey> {
  const index = new BlobIndex();
  const packs = new Map<PackId, SurveyedPack>();
  const files = new Map<IndexId, { packs: PackId[]; blobs: number }>();
  await forEachLimited(await listIds(repository, 'index', options.signal), filesAtOnce, async (id) => {
    let listed: IndexedPack[];
    try {
      listed = await loadIndexFile(repository, id, options.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      options.onUnreadable(fileName('index', id), error);
      return;
    }
    for (const pack of listed) {
      const known = packs.get(pack.id);
      if (known === undefined) packs.set(pack.id, describePack(pack));
      else addListing(known, pack);
      index.addPack(pack.id, pack.entries);
    }
    const blobs = listed.reduce((sum, { entries }) => sum + entries.length, 0);
    files.set(id, { packs: listed.map((pack) => pack.id), blobs });
  });
  return { index, packs, files };
}

function describePack({ entries }: IndexedPack): SurveyedPack {
  const types = new Set(entries.map(({ type }) => type));
  const type = types.size > 1 ? 'mixed' : types.has('tree') ? 'tree' : 'data';
  return {
    sizeBytes: packSizeOf(entries),
    type,
    blobs: entries.length,
    hasRawTrees: entries.some(isRawTree),
    listings: 1,
    isListedDifferently: false,
  };
}

function addListing(known: SurveyedPack, { entries }: IndexedPack): void {
  known.listings += 1;
  // Equal size and count: what differs beyond that shows when the pack's own header is read.
  if (known.sizeBytes !== packSizeOf(entries) || known.blobs !== entries.length) known.isListedDifferently = true;
}
