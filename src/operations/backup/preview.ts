// What a backup would do, for `--dry-run`: what it would build on, and what it would read. Asks the source, takes no lock, writes
// nothing.
import { hostname } from 'node:os';
import type { Finding } from '../../model/finding.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { fileName } from '../../repository/layout.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../repository/snapshot.ts';
import { workersFor } from '../../repository/worker-pool.ts';
import type { BackupForm, Entry, EntryProblem, Source } from '../../sources/source.ts';
import { recoveryReader } from '../restore/recovery-reader.ts';
import type { BackupOptions } from './backup.ts';
import { findParent, keptNode, ParentTree, pathOf } from './parent-tree.ts';
import { ParentTrail } from './parent-trail.ts';

export interface BackupPreview {
  /** Id of the snapshot that it would build on. */
  readonly parent: string | undefined;
  /** Of a tree of files: none of them was opened. */
  readonly files?: PreviewedFiles | undefined;
  /** Of a server that can be backed up in several ways. */
  readonly form?: BackupForm | undefined;
  /** That a server answers, and what its check did not pass; what failed would make the backup fail or lack something. */
  readonly findings: readonly Finding[];
  readonly problems: readonly EntryProblem[];
}

export interface PreviewedFiles {
  readonly new: number;
  readonly changed: number;
  readonly unmodified: number;
  readonly totalBytes: number;
  /** Of those that are new, or seem changed. */
  readonly readBytes: number;
}

export type PreviewOptions = Pick<BackupOptions, 'host' | 'component' | 'isForced' | 'type' | 'pool' | 'signal'>;

/** Rejects as a backup would where the source can't be reached. */
export async function previewBackup(
  repository: Repository,
  source: Source,
  options: PreviewOptions,
): Promise<BackupPreview> {
  const { signal, host = hostname() } = options;
  const problems: EntryProblem[] = [];
  const snapshots = await loadSnapshots(repository, signal, (id, { message }) => {
    problems.push({ path: fileName('snapshots', id), message });
  });
  const indexed = { repository, index: await loadIndex(repository, signal) };
  if (source.restore.kind === 'tree') {
    await using session = await source.open(signal);
    const parent = findParent(snapshots, { host, paths: session.paths });
    const files = await lookAtFiles(indexed, { entries: session.entries(signal), parent, options });
    return { parent: parent?.id, files, findings: [], problems: [...session.problems, ...problems] };
  }
  const parent = findParent(snapshots, { host, paths: [pathOf(options.component)] });
  await using pool = workersFor(repository, options.pool);
  const reader = parent && recoveryReader({ indexed, pool, snapshot: parent });
  const form = await source.decideBackup?.({ parent: reader, type: options.type }, signal);
  const all = await Array.fromAsync(source.check(signal));
  // The first tells whether it answers, and as what.
  const findings = all.filter(({ outcome }, at) => outcome !== 'passed' || at === 0);
  return { parent: parent?.id, form, findings, problems };
}

interface Look {
  readonly entries: AsyncIterable<Entry>;
  readonly parent: StoredSnapshot | undefined;
  readonly options: PreviewOptions;
}

async function lookAtFiles(indexed: IndexedRepository, { entries, parent, options }: Look): Promise<PreviewedFiles> {
  const { signal, isForced = false } = options;
  const trail = new ParentTrail(new ParentTree(indexed, { signal, onUnreadable: () => undefined }));
  await trail.begin(parent?.tree);
  const files = { new: 0, changed: 0, unmodified: 0, totalBytes: 0, readBytes: 0 };
  for await (const { path, metadata } of entries) {
    if (metadata.type !== 'file') continue;
    const { name, node } = await trail.find(path);
    const kept = node && !isForced && keptNode({ name, metadata }, node, (id) => indexed.index.has('data', id));
    files[kept ? 'unmodified' : node === undefined ? 'new' : 'changed'] += 1;
    files.totalBytes += metadata.sizeBytes;
    if (!kept) files.readBytes += metadata.sizeBytes;
  }
  return files;
}
