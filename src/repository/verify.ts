// Verification of a whole repository: is every file there and intact, and does every snapshot have all that it needs?
// It never stops at the first error. Whether data really comes back is another question: that is what a proof answers.
import { AppError, isAppError, messageOf } from '../base/errors.ts';
import { forEachLimited } from '../base/for-each-limited.ts';
import type { IndexedRepository } from './blob-reader.ts';
import { decodeConfig } from './config-file.ts';
import type { BlobId, PackId } from './ids.ts';
import { parseKeyFile } from './key-file.ts';
import { configName, fileName, listFiles, type FileIds, type FileKind } from './layout.ts';
import { acquireLock, readLock, type Lock } from './lock.ts';
import { notePurposes, readNotes } from './note.ts';
import { verifyJournals } from './journal/verify.ts';
import { isMissing, listIds, readFile, type Repository } from './repository.ts';
import { loadSnapshot, type StoredSnapshot } from './snapshot.ts';
import { surveyIndexes, type IndexSurvey, type SurveyedPack } from './survey-indexes.ts';
import { VerifyFindings, type VerifyFinding } from './verify-findings.ts';
import { verifyPacks } from './verify-packs.ts';
import { verifyTrees } from './verify-trees.ts';
import { workersFor, type Workers } from './worker-pool.ts';

export interface VerifyOptions {
  /** `structure` reads everything but file data; `data` reads all packs, or those of a sample, and opens every blob. */
  readonly level: 'structure' | 'data';
  /** Parts 1 to `of` together cover every pack. */
  readonly sample?: { readonly part: number; readonly of: number } | undefined;
  readonly pool?: Workers | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly signal: AbortSignal;
  onProgress?(counts: VerifyCounts): void;
  /** Looks at more of the snapshots, where nothing was found wrong before; what it can't read is told to `onUnreadable`. */
  lookInside?(inside: VerifyInside): Promise<void>;
}

export interface VerifyInside {
  readonly indexed: IndexedRepository;
  /** Oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
  readonly signal: AbortSignal;
  readonly onUnreadable: (where: string, error: unknown) => void;
}

export interface VerifyCounts {
  readonly keys: number;
  readonly indexes: number;
  readonly packs: number;
  readonly blobs: number;
  /** Blobs that some snapshot needs. */
  readonly usedBlobs: number;
  readonly snapshots: number;
  readonly trees: number;
  readonly locks: number;
  /** Objects of journals. */
  readonly journalObjects: number;
  /** Packs to be read at level `data`, and what of them was read. */
  readonly packsToRead: number;
  readonly packsRead: number;
  readonly bytesRead: number;
}

export interface VerifyResult {
  readonly findings: readonly VerifyFinding[];
  /** How many there were; the list is bounded. */
  readonly errors: number;
  readonly notes: number;
  readonly counts: VerifyCounts;
  /** Root trees of the snapshots that were looked at, each once. */
  readonly roots: readonly BlobId[];
}

interface Run {
  readonly repository: Repository;
  readonly options: VerifyOptions;
  readonly signal: AbortSignal;
  readonly findings: VerifyFindings;
  readonly counts: { -readonly [Name in keyof VerifyCounts]: number };
}

/** Rejects only if it can't be carried through: the store is unreachable, or an exclusive lock is held. */
export async function verifyRepository(repository: Repository, options: VerifyOptions): Promise<VerifyResult> {
  const { sample } = options;
  if (sample !== undefined && !(sample.part >= 1 && sample.part <= sample.of)) {
    throw new AppError('USAGE', `there is no part ${sample.part} of ${sample.of}`, {
      hint: 'Give a part from 1 to the number of parts.',
    });
  }
  const findings = new VerifyFindings();
  await using lock = await lockIfPossible(repository, options, findings);
  const signal = lock === undefined ? options.signal : AbortSignal.any([options.signal, lock.signal]);
  const counts = {
    keys: 0,
    indexes: 0,
    packs: 0,
    blobs: 0,
    usedBlobs: 0,
    snapshots: 0,
    trees: 0,
    locks: 0,
    journalObjects: 0,
  };
  const run: Run = {
    repository,
    options,
    signal,
    findings,
    counts: { ...counts, packsToRead: 0, packsRead: 0, bytesRead: 0 },
  };
  await verifySmallFiles(run);
  // Snapshots, then index, then packs: what a backup adds meanwhile is then never missed.
  const snapshots = await readSnapshots(run);
  const survey = await surveyIndexes(repository, {
    signal,
    onUnreadable: (name, error) => findings.unreadable(name, error),
  });
  run.counts.indexes = survey.files.size;
  run.counts.blobs = survey.index.size;
  const sound = await verifyPackFiles(run, survey);
  const used = await verifyTrees({ repository, index: survey.index }, snapshots, {
    findings,
    signal,
    onTree: () => {
      run.counts.trees += 1;
      options.onProgress?.(run.counts);
    },
  });
  run.counts.usedBlobs = used.count;
  if (options.level === 'data') await readPacks(run, survey, sound);
  await verifyJournalFiles(run);
  if (findings.errors === 0) {
    await options.lookInside?.({
      indexed: { repository, index: survey.index },
      snapshots: snapshots.toSorted((left, right) => Temporal.Instant.compare(left.time, right.time)),
      signal,
      onUnreadable: (where, error) => findings.unreadable(where, error),
    });
  }
  const roots = [...new Set(snapshots.map(({ tree }) => tree))].toSorted();
  return { findings: findings.list, errors: findings.errors, notes: findings.notes, counts: run.counts, roots };
}

/** A damaged lock file or a store that can't be written must not keep anyone from looking at the rest. */
async function lockIfPossible(
  repository: Repository,
  { signal, lockWaitMs: waitMs = 0 }: VerifyOptions,
  findings: VerifyFindings,
): Promise<Lock | undefined> {
  try {
    return await acquireLock(repository, { isExclusive: false, signal, waitMs });
  } catch (error) {
    if (isAppError(error, 'REPOSITORY_DAMAGED')) return undefined; // Found again when the locks are read.
    if (!isAppError(error, 'STORE_READ_ONLY', 'STORE_DENIED', 'STORE_FULL')) throw error;
    findings.note('locks/', `verified without a lock: ${messageOf(error)}`);
    return undefined;
  }
}

async function verifySmallFiles(run: Run): Promise<void> {
  const { repository, signal, findings, counts } = run;
  counts.keys = await verifyEach(run, 'keys', async (id) => {
    parseKeyFile(await readFile(repository.store, { kind: 'keys', id }, signal));
  });
  counts.locks = await verifyEach(run, 'locks', async (id) => {
    await readLock(repository, id, signal);
  });
  for (const purpose of notePurposes) {
    const { problems } = await readNotes(repository, { purpose }, signal);
    for (const { name, message } of problems) findings.error(name, message);
  }
  try {
    const config = decodeConfig(repository.keys, await repository.store.get(configName, { signal }));
    if (config.id !== repository.config.id) findings.error(configName, 'it is the config of another repository');
  } catch (error) {
    signal.throwIfAborted();
    findings.unreadable(configName, error);
  }
}

async function verifyJournalFiles({ repository, options, signal, findings, counts }: Run): Promise<void> {
  const { level, sample } = options;
  counts.journalObjects = await verifyJournals(repository, {
    level,
    sample,
    findings,
    signal,
    onObject: (storedBytes) => {
      counts.bytesRead += storedBytes;
      options.onProgress?.(counts);
    },
  });
}

/** Returns how many files of the kind there are. */
async function verifyEach<Kind extends FileKind>(
  { repository, signal, findings }: Run,
  kind: Kind,
  look: (id: FileIds[Kind]) => Promise<void>,
): Promise<number> {
  const ids = await listIds(repository, kind, signal);
  await forEachLimited(ids, repository.store.properties.connectionsMax, async (id) => {
    try {
      await look(id);
    } catch (error) {
      signal.throwIfAborted();
      // Locks come and go while others work.
      if (kind !== 'locks' || !isMissing(error)) findings.unreadable(fileName(kind, id), error);
    }
  });
  return ids.length;
}

async function readSnapshots(run: Run): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  run.counts.snapshots = await verifyEach(run, 'snapshots', async (id) => {
    snapshots.push(await loadSnapshot(run.repository, id, run.signal));
  });
  return snapshots;
}

/** Returns the packs that are there with the size that the index tells. */
async function verifyPackFiles(
  { repository, signal, findings, counts }: Run,
  { packs, index }: IndexSurvey,
): Promise<ReadonlySet<PackId>> {
  const there = new Set<PackId>();
  const sound = new Set<PackId>();
  for await (const { id, sizeBytes } of listFiles(repository.store, 'data', signal)) {
    counts.packs += 1;
    const name = fileName('data', id);
    const surveyed = packs.get(id);
    there.add(id);
    if (surveyed === undefined) findings.note(name, 'no index lists it: the leftover of a writer that died, or of now');
    else if (surveyed.sizeBytes === sizeBytes) sound.add(id);
    else findings.error(name, `it has ${sizeBytes} bytes, by the index it should have ${surveyed.sizeBytes}`);
  }
  for (const pack of index.packs) {
    const name = fileName('data', pack);
    if (!there.has(pack)) findings.error(name, 'an index lists it, but it is missing');
    const surveyed = packs.get(pack);
    if (surveyed !== undefined) noteListing(findings, name, surveyed);
  }
  return sound;
}

/** What the indexes alone tell of a pack. */
function noteListing(findings: VerifyFindings, name: string, { type, ...surveyed }: SurveyedPack): void {
  if (type === 'mixed') findings.note(name, 'it holds data and trees; prune separates them');
  if (surveyed.hasRawTrees) findings.note(name, 'it holds trees that are not compressed; prune compresses them');
  if (surveyed.isListedDifferently) findings.error(name, 'two index files list it differently');
  else if (surveyed.listings > 1) findings.note(name, `${surveyed.listings} index files list it`);
}

async function readPacks(run: Run, { index }: IndexSurvey, sound: ReadonlySet<PackId>): Promise<void> {
  const { repository, options, signal, findings, counts } = run;
  const { part, of } = options.sample ?? { part: 1, of: 1 };
  const wanted = new Set([...sound].filter((pack) => Number.parseInt(pack.slice(0, 8), 16) % of === part - 1));
  counts.packsToRead = wanted.size;
  await using pool = workersFor(repository, options.pool);
  await verifyPacks(
    repository,
    { index, wanted },
    {
      findings,
      signal,
      pool,
      onPack: (sizeBytes) => {
        counts.packsRead += 1;
        counts.bytesRead += sizeBytes;
        options.onProgress?.(counts);
      },
    },
  );
}
