// Frees what no snapshot needs. The order makes every crash harmless: a blob is at each moment in some pack that some
// index lists, and no index lists a pack that is gone. What a crash leaves over, the next prune removes.
import { dayMs } from '../base/duration.ts';
import type { BlobIndex } from './blob-index.ts';
import { findDamagedCopies } from './check-copies.ts';
import type { IndexId, PackId } from './ids.ts';
import { encodeIndex, indexBlobsMax, type IndexedPack } from './index-file.ts';
import { listFiles } from './layout.ts';
import { loadIndexFile } from './load-index.ts';
import { acquireLock, type Lock } from './lock.ts';
import { measurePacks } from './pack-use.ts';
import { packTargetBytes, PackWriter } from './pack-writer.ts';
import {
  copiesToCheck,
  decidePrune,
  defaultMaxUnused,
  type PruneDecision,
  type PruneOptions,
  type UnindexedPack,
} from './prune.ts';
import type { RecordSet } from './record-set.ts';
import { removeFiles, settleRemovals } from './remove-files.ts';
import { saveJson, type Repository } from './repository.ts';
import { loadSnapshots } from './snapshot.ts';
import { surveyIndexes, type IndexSurvey } from './survey-indexes.ts';
import { transferBlobs } from './transfer-blobs.ts';
import { findUsedBlobs } from './used-blobs.ts';
import { workersFor, type Workers } from './worker-pool.ts';

export interface PruneRequest extends Partial<Omit<PruneOptions, 'packTargetBytes'>> {
  /** Tests make packs small. */
  readonly packTargetBytes?: number | undefined;
  /** Only decide. */
  readonly isDryRun?: boolean | undefined;
  /** Threads with the repository's keys; its own if absent. */
  readonly pool?: Workers | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly signal: AbortSignal;
  onProgress?(progress: PruneProgress): void;
}

export type PruneProgress =
  | { readonly phase: 'trees'; readonly trees: number }
  | { readonly phase: 'copies' | 'repack'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly phase: 'index' | 'remove' };

interface PruneRun {
  readonly repository: Repository;
  readonly request: PruneRequest;
  readonly lock: Lock;
  readonly signal: AbortSignal;
}

/** Rejects with `REPOSITORY_DAMAGED`, having deleted nothing, if anything it needs to know can't be read. */
export async function prune(repository: Repository, request: PruneRequest): Promise<PruneDecision> {
  const isDryRun = request.isDryRun === true;
  const { signal: outer, lockWaitMs: waitMs = 0 } = request;
  await using lock = await acquireLock(repository, { isExclusive: !isDryRun, signal: outer, waitMs });
  const run = { repository, request, lock, signal: AbortSignal.any([outer, lock.signal]) };
  const { survey, kept, decision } = await decide(run);
  if (!isDryRun) await executePrune(run, { survey, kept, decision });
  return decision;
}

interface Decided {
  readonly survey: IndexSurvey;
  readonly kept: RecordSet;
  readonly decision: PruneDecision;
}

async function decide(run: PruneRun): Promise<Decided> {
  const { repository, request, signal } = run;
  const snapshots = await loadSnapshots(repository, signal);
  const survey = await surveyIndexes(repository, {
    signal,
    onUnreadable: (_, error) => {
      throw error;
    },
  });
  const { index } = survey;
  let trees = 0;
  const used = await findUsedBlobs({ repository, index }, snapshots, {
    signal,
    onTree: () => request.onProgress?.({ phase: 'trees', trees: (trees += 1) }),
  });
  const sizes = new Map<PackId, number>();
  const unindexed: UnindexedPack[] = [];
  for await (const { id, sizeBytes } of listFiles(repository.store, 'data', signal)) {
    if (survey.packs.has(id)) sizes.set(id, sizeBytes);
    else unindexed.push({ pack: id, sizeBytes });
  }
  const isSound = (pack: PackId): boolean => sizes.get(pack) === survey.packs.get(pack)?.sizeBytes;
  const damaged = new Set<number>();
  const good = new Set<number>();
  for (;;) {
    const measured = measurePacks(survey, used, { isSound, damaged });
    const { packs, kept } = measured;
    const decision = decidePrune({ packs, unindexed, indexFiles: survey.files }, optionsOf(request));
    const unchecked = copiesToCheck(measured.duplicates, decision, (record) => index.at(record).pack).filter(
      (record) => !good.has(record),
    );
    if (unchecked.length === 0) return { survey, kept, decision };
    // What turns out damaged gives way to another copy, which may change what is repacked: decided anew.
    for (const record of await findDamaged(run, index, unchecked)) damaged.add(record);
    for (const record of unchecked) if (!damaged.has(record)) good.add(record);
  }
}

function optionsOf({
  maxUnused = defaultMaxUnused,
  maxRepackBytes,
  packTargetBytes: wanted,
}: PruneRequest): PruneOptions {
  const targets = wanted === undefined ? packTargetBytes : { data: wanted, tree: wanted };
  return { maxUnused, maxRepackBytes, packTargetBytes: targets };
}

async function findDamaged(
  { repository, request, signal }: PruneRun,
  index: BlobIndex,
  records: readonly number[],
): Promise<number[]> {
  await using pool = workersFor(repository, request.pool);
  const totalBytes = records.reduce((sum, record) => sum + index.at(record).lengthBytes, 0);
  let doneBytes = 0;
  const onBytes = (bytes: number): void =>
    request.onProgress?.({ phase: 'copies', doneBytes: (doneBytes += bytes), totalBytes });
  return await findDamagedCopies({ repository, index }, records, { pool, signal, onBytes });
}

async function executePrune(run: PruneRun, { survey, kept, decision }: Decided): Promise<void> {
  const { repository, request, lock, signal } = run;
  // What was decided on must last before any pack goes: nothing that speaks of one may come back.
  await settleRemovals(repository, ['snapshots', 'index'], signal);
  const unindexed = decision.removeUnindexed.map(({ pack }) => pack);
  await removeFiles(repository, { kind: 'data', ids: unindexed }, { lock, signal });
  if (decision.repack.length > 0) await repack(run, { index: survey.index, kept, decision });
  const gone = new Set([...decision.repack, ...decision.remove]);
  if (decision.rewriteIndexes.length > 0) {
    request.onProgress?.({ phase: 'index' });
    await writeIndexes(run, decision.rewriteIndexes, gone);
    await removeFiles(repository, { kind: 'index', ids: decision.rewriteIndexes }, { lock, signal });
  }
  request.onProgress?.({ phase: 'remove' });
  await removeFiles(repository, { kind: 'data', ids: [...gone] }, { lock, signal });
  await lock.check();
  // The lock says that nobody writes. A day more, for writers that lost theirs and do not know it yet.
  await repository.store.removeUnfinished?.(repository.clock.now() - dayMs, { signal });
}

/** Copies what is still needed of the packs that go into new ones, and lists these in new index files. */
async function repack(
  { repository, request, lock, signal }: PruneRun,
  { index, kept, decision }: { readonly index: BlobIndex; readonly kept: RecordSet; readonly decision: PruneDecision },
): Promise<void> {
  await using pool = workersFor(repository, request.pool);
  const packs = new Set(decision.repack);
  const isRepacked = index.packs.map((pack) => packs.has(pack));
  const records: number[] = [];
  for (let record = 0; record < index.size; record += 1) {
    if (kept.has(record) && isRepacked[index.packNumberAt(record)] === true) records.push(record);
  }
  await using writer = new PackWriter(repository, index, {
    signal,
    beforeIndex: () => lock.check(),
    packTargetBytes: request.packTargetBytes,
  });
  let doneBytes = 0;
  const totalBytes = records.reduce((sum, record) => sum + index.at(record).lengthBytes, 0);
  await transferBlobs({ repository, index }, records, {
    writer,
    pool,
    signal,
    onBlob: ({ lengthBytes }) =>
      request.onProgress?.({ phase: 'repack', doneBytes: (doneBytes += lengthBytes), totalBytes }),
  });
  await writer.finish();
}

/** Writes what the old index files say of the packs that stay into new ones. */
async function writeIndexes(
  { repository, lock, signal }: PruneRun,
  old: readonly IndexId[],
  gone: ReadonlySet<PackId>,
): Promise<void> {
  /** Blobs of each pack written, so that a pack which several index files list alike is listed once. */
  const listed = new Map<PackId, number>();
  let packs: IndexedPack[] = [];
  let blobs = 0;
  const flush = async (): Promise<void> => {
    if (packs.length === 0) return;
    await lock.check();
    await saveJson(repository, { kind: 'index', json: encodeIndex(packs) }, signal);
    packs = [];
    blobs = 0;
  };
  for (const id of old) {
    for (const pack of await loadIndexFile(repository, id, signal)) {
      if (gone.has(pack.id) || listed.get(pack.id) === pack.entries.length) continue;
      if (blobs + pack.entries.length > indexBlobsMax) await flush();
      listed.set(pack.id, pack.entries.length);
      packs.push(pack);
      blobs += pack.entries.length;
    }
  }
  await flush();
}
