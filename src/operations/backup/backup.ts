// One backup of one component into one repository: source session → trees and packs → index → snapshot.
import { hostname } from 'node:os';
import { currentUser } from '../../base/current-user.ts';
import { AppError, firstFailure, messageOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { syntheticMetadata } from '../../base/synthetic-metadata.ts';
import { BlobWriter, type SavedContent, type SavedFile } from '../../repository/blob-writer.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { chunkMaxBytes } from '../../repository/chunker.ts';
import { isPageChunker, pageChunkerFor } from '../../repository/chunker-pages.ts';
import type { ChunkerName } from '../../repository/create-chunker.ts';
import { formatTime } from '../../repository/go-text.ts';
import type { BlobId } from '../../repository/ids.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { fileName } from '../../repository/layout.ts';
import { acquireLock, type Lock } from '../../repository/lock.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshots, saveSnapshot, type StoredSnapshot } from '../../repository/snapshot.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { workersFor, type Workers } from '../../repository/worker-pool.ts';
import type { BackupSession, BackupType, Content, Entry, EntryProblem, Source } from '../../sources/source.ts';
import { nodeOf } from '../node-metadata.ts';
import { ownFolder } from '../own-folder.ts';
import { recoveryReader } from '../restore/recovery-reader.ts';
import { findParent, keptNode, ParentTree, pathOf } from './parent-tree.ts';
import { PatchedFiles } from './patched-entry.ts';
import { TreeBuilder } from './tree-builder.ts';

export interface BackupOptions {
  /** The application's name: the snapshot's hostname, so that backups by several workers stay one group. */
  readonly host?: string | undefined;
  readonly component: string;
  readonly tags?: readonly string[] | undefined;
  readonly description?: string | undefined;
  /** zstd level; 0 stores data as it is. */
  readonly compressionLevel?: number | undefined;
  /** For a component without an earlier snapshot. */
  readonly chunker?: ChunkerName | undefined;
  /** Read all files even if they seem unchanged. */
  readonly isForced?: boolean | undefined;
  /** Whether the source may refer to the parent; its own choice if absent. */
  readonly type?: BackupType | undefined;
  /** How long to wait for a lock of others. */
  readonly lockWaitMs?: number | undefined;
  /** Shared by several operations; one of its own if absent. */
  readonly pool?: Workers | undefined;
  readonly packTargetBytes?: number | undefined;
  readonly programVersion: string;
  readonly signal: AbortSignal;
  onProgress?(progress: BackupProgress): void;
  /** What it has read and adds to; whoever reads on afterwards need not read it again. */
  onIndex?(index: BlobIndex): void;
}

export interface BackupProgress {
  readonly files: number;
  /** Read, or known to be unchanged. */
  readonly bytes: number;
  readonly path: string;
}

export interface FileCounts {
  readonly new: number;
  readonly changed: number;
  readonly unmodified: number;
  /** Found, but left out because they could not be read; among the problems. */
  readonly failed: number;
}

export interface BackupResult {
  readonly snapshot: StoredSnapshot;
  readonly parent: string | undefined;
  readonly files: FileCounts;
  readonly totalBytes: number;
  /** New data before compression, and what the repository grew by. */
  readonly addedBytes: number;
  readonly storedBytes: number;
  readonly problems: readonly EntryProblem[];
  /** Standing limits of the source, which `check` warns of. */
  readonly notes: readonly EntryProblem[];
  readonly facts: JsonObject;
  readonly fingerprintItems: number;
}

const defaultCompressionLevel = 1;

/** Backs up. What was stored stays stored if this rejects or is aborted; a snapshot appears only at the very end. */
export async function backup(repository: Repository, source: Source, options: BackupOptions): Promise<BackupResult> {
  try {
    return await backupLocked(repository, source, options);
  } catch (error) {
    throw firstFailure(error);
  }
}

async function backupLocked(repository: Repository, source: Source, options: BackupOptions): Promise<BackupResult> {
  const startedNs = BigInt(repository.clock.now()) * 1_000_000n;
  await using lock = await acquireLock(repository, {
    isExclusive: false,
    signal: options.signal,
    waitMs: options.lockWaitMs ?? 0,
  });
  const signal = AbortSignal.any([options.signal, lock.signal]);
  // Snapshots before the index: what a snapshot needs is then sure to be in it.
  const problems: EntryProblem[] = [];
  // A damaged snapshot is reported, but must not keep new backups from being made.
  const snapshots = await loadSnapshots(repository, signal, (id, { message }) => {
    problems.push({ path: fileName('snapshots', id), message });
  });
  const indexed = { repository, index: await loadIndex(repository, signal) };
  options.onIndex?.(indexed.index);
  await using pool = workersFor(repository, options.pool);
  const host = options.host ?? hostname();
  const earlier =
    source.restore.kind === 'tree' ? undefined : findParent(snapshots, { host, paths: [pathOf(options.component)] });
  const reader = earlier === undefined ? undefined : recoveryReader({ indexed, pool, snapshot: earlier });
  await using session = await source.open(signal, { parent: reader, type: options.type });
  const paths = source.restore.kind === 'tree' ? session.paths : [pathOf(options.component)];
  const parent = earlier ?? findParent(snapshots, { host, paths });
  const run = new BackupRun({
    indexed,
    source,
    session,
    lock,
    pool,
    options,
    signal,
    startedNs,
    problems,
    host,
    paths,
    parent,
  });
  return await run.perform();
}

interface RunParts {
  readonly indexed: IndexedRepository;
  readonly source: Source;
  readonly session: BackupSession;
  readonly lock: Lock;
  readonly pool: Workers;
  readonly options: BackupOptions;
  readonly signal: AbortSignal;
  readonly startedNs: bigint;
  readonly host: string;
  /** What snapshots are grouped by. */
  readonly paths: readonly string[];
  readonly parent: StoredSnapshot | undefined;
  /** What is to be reported, beside what the source reports. */
  readonly problems: EntryProblem[];
}

/** Where a file belongs. */
interface FilePosition {
  readonly name: string;
  readonly parent: TreeNode | undefined;
  readonly writer: BlobWriter;
  readonly builder: TreeBuilder;
  readonly patched: PatchedFiles;
}

class BackupRun {
  readonly #parts: RunParts;
  readonly #files = { new: 0, changed: 0, unmodified: 0, failed: 0 };
  readonly #folders = { new: 0, changed: 0, unmodified: 0 };
  #bytes = 0;
  #path = '';

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  async perform(): Promise<BackupResult> {
    const { session, indexed, startedNs, parent } = this.#parts;
    const chunker = this.#chooseChunker();
    await using writer = this.#createWriter(chunker);
    const parentTree = new ParentTree(indexed, {
      signal: this.#parts.signal,
      onUnreadable: () => writer.distrustTrees(),
    });
    const earlierRoot = await parentTree.enterRoot(parent?.tree);
    const builder = new TreeBuilder(writer, { events: parentTree, earlierRoot, timeNs: startedNs });
    const patched = new PatchedFiles({ ...this.#parts, writer });
    for await (const entry of session.entries(this.#parts.signal)) {
      await this.#addEntry(entry, { writer, builder, patched, parentTree });
    }
    const own = await this.#addOwnFiles(writer, builder);
    const tree = await builder.finish();
    const storedBytes = await writer.finish();
    await this.#parts.lock.check();
    const snapshot = await this.#saveSnapshot({ tree, chunker, writer, storedBytes });
    const problems = [...session.problems, ...this.#parts.problems];
    const { addedBytes } = writer.counts;
    return {
      snapshot,
      parent: parent?.id,
      files: this.#files,
      totalBytes: this.#bytes,
      addedBytes,
      storedBytes,
      problems,
      notes: [...(session.notes ?? [])],
      ...own,
    };
  }

  /** The parent's, so that unchanged data is found again, unless that does not suit what the source yields. */
  #chooseChunker(): ChunkerName {
    const { indexed, options, parent, session } = this.#parts;
    const inherited = parent?.lifeboat?.chunker;
    if (session.pagedBytes !== undefined)
      return inherited !== undefined && isPageChunker(inherited) ? inherited : pageChunkerFor(session.pagedBytes);
    if (options.chunker !== undefined) return options.chunker;
    if (parent === undefined || (inherited !== undefined && isPageChunker(inherited)))
      return indexed.repository.config.chunkerDefault;
    // A snapshot that names none was made by restic; one whose tags restic changed lost the name.
    return inherited ?? 'rabin';
  }

  #createWriter(chunker: ChunkerName): BlobWriter {
    const { indexed, options, pool, lock, signal } = this.#parts;
    return new BlobWriter(indexed.repository, indexed.index, {
      signal,
      pool,
      chunker,
      compressionLevel: options.compressionLevel ?? defaultCompressionLevel,
      beforeIndex: () => lock.check(),
      packTargetBytes: options.packTargetBytes,
      onRead: (bytes) => {
        this.#bytes += bytes;
        // Also within a file: a dump is one file that may take an hour.
        this.#report();
      },
    });
  }

  async #addEntry(
    entry: Entry,
    { parentTree, ...into }: Omit<FilePosition, 'name' | 'parent'> & { readonly parentTree: ParentTree },
  ): Promise<void> {
    this.#parts.signal.throwIfAborted();
    const { builder } = into;
    const name = builder.nameHere(entry.path) ?? (await builder.moveTo(entry.path));
    const parent = parentTree.find(name);
    if (entry.metadata.type === 'dir') {
      this.#folders[parent === undefined ? 'new' : 'unmodified'] += 1;
      await builder.openFolder(name, entry.metadata);
      return;
    }
    if (entry.metadata.type !== 'file') {
      builder.add(nodeOf(name, entry.metadata, {}));
      return;
    }
    this.#path = entry.path;
    await this.#addFile(entry, { ...into, name, parent });
    this.#report();
  }

  #report(): void {
    const files = this.#files.new + this.#files.changed + this.#files.unmodified;
    this.#parts.options.onProgress?.({ files, bytes: this.#bytes, path: this.#path });
  }

  async #addFile(entry: Entry, into: FilePosition): Promise<void> {
    const { name, parent, writer, builder, patched } = into;
    if (entry.kind === 'patched') {
      const saved = await patched.save(entry, parent);
      this.#bytes += saved.sizeBytes;
      this.#files[kindOf(saved, parent)] += 1;
      builder.add(nodeOf(name, entry.metadata, saved));
    } else if (entry.content === undefined || entry.content.from === 'file')
      await this.#addLocalFile(entry, entry.content?.path ?? entry.path, into);
    else {
      const { saved } = await this.#saveGiven(entry.content, writer);
      const node = saved.then((content) => {
        this.#files[kindOf(content, parent)] += 1;
        return nodeOf(name, entry.metadata, content);
      });
      node.catch(() => undefined); // The folder it belongs to hears of it.
      builder.add(node);
    }
  }

  /** Resolves once the next entry may come, with the content to be. */
  async #saveGiven(
    content: Exclude<Content, { from: 'file' }>,
    writer: BlobWriter,
  ): Promise<{ readonly saved: Promise<SavedContent> }> {
    if (content.from === 'bytes') return { saved: Promise.resolve(await writer.saveBytes(content.bytes)) };
    if (content.from === 'later') return { saved: content.bytes.then((bytes) => writer.saveBytes(bytes)) };
    return { saved: (await writer.saveStream(content.open(this.#parts.signal))).done };
  }

  /** Not read if nothing about it says that it changed and all of its content is still stored. */
  async #addLocalFile(entry: Entry, path: string, { name, parent, writer, builder }: FilePosition): Promise<void> {
    const { metadata } = entry;
    const isForced = this.#parts.options.isForced === true;
    const kept =
      isForced || parent === undefined
        ? undefined
        : keptNode({ name, metadata }, parent, (id) => writer.isKnown('data', id));
    if (kept !== undefined) {
      this.#files.unmodified += 1;
      this.#bytes += metadata.sizeBytes;
      builder.add(kept);
      return;
    }
    const { done } = await writer.saveFile({ path, sizeBytes: metadata.sizeBytes, mtimeNs: metadata.mtimeNs });
    const kind = parent === undefined ? 'new' : 'changed';
    const node = done.then((saved) => {
      this.#files['problem' in saved ? 'failed' : kind] += 1;
      this.#report();
      return this.#nodeOfSaved(saved, { name, entry });
    });
    node.catch(() => undefined); // The folder it belongs to hears of it.
    builder.add(node);
  }

  /** A file that can't be read is left out and reported; one that changed meanwhile is kept and reported. */
  #nodeOfSaved(saved: SavedFile, { name, entry }: { name: string; entry: Entry }): TreeNode | undefined {
    if ('problem' in saved) {
      this.#parts.problems.push({ path: entry.path, message: saved.problem });
      return undefined;
    }
    if (saved.isChanged) this.#parts.problems.push({ path: entry.path, message: 'changed while it was read' });
    return nodeOf(name, entry.metadata, saved);
  }

  /** What the source knows beyond its entries travels inside the tree, so that it is copied and kept with them. */
  async #addOwnFiles(
    writer: BlobWriter,
    builder: TreeBuilder,
  ): Promise<{ facts: JsonObject; fingerprintItems: number }> {
    const { session, signal, source, startedNs } = this.#parts;
    const facts = await session.facts(signal);
    const fingerprint = await session.fingerprint(signal);
    const journal = session.journal?.();
    const files: [string, unknown][] = [];
    // The snapshot says it too, until restic rewrites it and drops what it does not know.
    const own = journal === undefined ? facts : { ...facts, journal };
    if (Object.keys(own).length > 0) files.push(['facts.json', { source: source.kind, ...own }]);
    if (fingerprint !== undefined) files.push(['fingerprint.json', fingerprint]);
    for (const [name, value] of files) {
      const bytes = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
      await builder.moveTo(`${ownFolder}/${name}`);
      const content: BlobId[] = [];
      for (let at = 0; at < bytes.length; at += chunkMaxBytes)
        content.push(await writer.saveData(bytes.subarray(at, at + chunkMaxBytes)));
      builder.add(nodeOf(name, syntheticMetadata('file', startedNs), { content, sizeBytes: bytes.length }));
    }
    return { facts, fingerprintItems: fingerprint?.items.length ?? 0 };
  }

  async #saveSnapshot(made: {
    readonly tree: StoredSnapshot['tree'];
    readonly chunker: ChunkerName;
    readonly writer: BlobWriter;
    readonly storedBytes: number;
  }): Promise<StoredSnapshot> {
    const { indexed, options, source, session, signal, startedNs, host, paths, parent } = this.#parts;
    const journal = session.journal?.();
    const { username, uid, gid } = currentUser();
    const { counts } = made.writer;
    const time = formatTime(startedNs);
    const files = this.#files.new + this.#files.changed + this.#files.unmodified;
    const summary = {
      backup_start: time,
      backup_end: formatTime(BigInt(indexed.repository.clock.now()) * 1_000_000n),
      files_new: this.#files.new,
      files_changed: this.#files.changed,
      files_unmodified: this.#files.unmodified,
      dirs_new: this.#folders.new,
      dirs_changed: this.#folders.changed,
      dirs_unmodified: this.#folders.unmodified,
      data_blobs: counts.dataBlobs,
      tree_blobs: counts.treeBlobs,
      data_added: counts.addedBytes,
      data_added_packed: made.storedBytes,
      total_files_processed: files,
      total_bytes_processed: this.#bytes,
    };
    const snapshot = {
      time,
      parent: parent?.id,
      tree: made.tree,
      paths,
      hostname: host,
      username,
      uid: Math.max(0, uid),
      gid: Math.max(0, gid),
      excludes: [],
      tags: [...new Set([`component=${options.component}`, ...(options.tags ?? [])])],
      program_version: `lifeboat ${options.programVersion}`,
      summary,
      ...(options.description !== undefined && { description: options.description }),
      lifeboat: {
        component: options.component,
        source: source.kind,
        chunker: made.chunker,
        ...(journal !== undefined && { journal }),
      },
    };
    return saveSnapshot(indexed.repository, snapshot, signal);
  }
}

function kindOf({ content }: SavedContent, parent: TreeNode | undefined): 'new' | 'changed' | 'unmodified' {
  if (parent?.content === undefined) return 'new';
  const before = parent.content;
  return before.length === content.length && content.every((id, at) => id === before[at]) ? 'unmodified' : 'changed';
}

/** Wraps what a source threw that is not an error of ours. */
export function sourceFailure(component: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('SOURCE_FAILED', `the backup of ${component} broke off: ${messageOf(error)}`, {
    hint: 'No snapshot was written; run the command again. What was stored already is not stored twice.',
    cause: error,
  });
}
