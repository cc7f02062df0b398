// Carries out the restore of a tree of files: folders first, contents fetched pack by pack and written in parallel by the
// workers, then links and special files, metadata last. Memory is bounded: files are handled in windows.
import { AppError } from '../../base/errors.ts';
import { applyMetadata } from '../../base/apply-metadata.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { walkTree } from '../../repository/walk.ts';
import type { WorkerPool } from '../../repository/worker-pool.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { ownFolder } from '../backup/backup.ts';
import { metadataOf } from '../node-metadata.ts';
import { FileWindow, type FilePlace } from './file-window.ts';
import { hardLinkKey, makeFolder, makeHardLink, makeOther } from './place-entry.ts';
import { placeOf, selection, type Selection } from './target-path.ts';
import type { TreeRestoreDecision } from './tree-decision.ts';

export interface TreeRestoreOptions {
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  onProgress?(progress: TreeRestoreProgress): void;
}

export interface TreeRestoreProgress {
  readonly files: number;
  readonly bytes: number;
}

export interface TreeRestoreResult {
  readonly files: number;
  readonly bytes: number;
  /** Bytes fetched and written; less than `bytes` where existing content was right already. */
  readonly writtenBytes: number;
  /** Entries that did not come back as they were. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  /** Entries whose owner could not be set for want of rights. */
  readonly ownersRefused: number;
}

/** Refuses a decision with failed findings; else restores and reports what did not come back. */
export async function executeTreeRestore(
  indexed: IndexedRepository,
  decision: TreeRestoreDecision,
  options: TreeRestoreOptions,
): Promise<TreeRestoreResult> {
  const failed = decision.findings.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) {
    const code =
      failed.aspect === 'disk space' ? 'TARGET_SPACE' : failed.aspect === 'selection' ? 'NOT_FOUND' : 'TARGET_UNSAFE';
    throw new AppError(code, failed.message, { hint: failed.hint ?? 'Choose another target.' });
  }
  return new TreeRestore(indexed, decision, options).perform();
}

class TreeRestore {
  readonly #indexed: IndexedRepository;
  readonly #decision: TreeRestoreDecision;
  readonly #options: TreeRestoreOptions;
  readonly #selection: Selection;
  readonly #problems: { path: string; message: string }[] = [];
  readonly #folders: { readonly place: string; readonly node: TreeNode }[] = [];
  readonly #links = new Map<string, string>();
  readonly #lateLinks: { readonly place: string; readonly original: string; readonly node: TreeNode }[] = [];
  #ownersRefused = 0;
  #files = 0;
  #bytes = 0;
  #writtenBytes = 0;

  constructor(indexed: IndexedRepository, decision: TreeRestoreDecision, options: TreeRestoreOptions) {
    this.#indexed = indexed;
    this.#decision = decision;
    this.#options = options;
    const { base = '/', include = [], exclude = [] } = decision.request;
    this.#selection = selection({ base, include, exclude });
  }

  async perform(): Promise<TreeRestoreResult> {
    const { signal } = this.#options;
    makeFolder(this.#decision.target, { mayFollow: true });
    let window = this.#newWindow();
    const { tree } = this.#decision.request.snapshot;
    for await (const { path, node } of walkTree(this.#indexed, tree, {
      signal,
      enters: (folder) => this.#selection.enters(folder),
    })) {
      const relative = this.#selection.relative(path);
      if (relative === undefined || path === ownFolder || path.startsWith(`${ownFolder}/`)) continue;
      const place = placeOf(this.#decision.target, relative);
      if (node.type === 'dir') this.#addFolder(path, { place, node });
      else if (this.#selection.isWanted(path)) this.#addEntry({ path, place, node }, window);
      if (window.isFull) {
        await this.#finishWindow(window);
        window = this.#newWindow();
      }
    }
    await this.#finishWindow(window);
    for (const { place, original, node } of this.#lateLinks)
      this.#attempt(place, () => makeHardLink(original, place), node);
    for (const { place, node } of this.#folders.toReversed()) this.#applyMetadata(place, node);
    return {
      files: this.#files,
      bytes: this.#bytes,
      writtenBytes: this.#writtenBytes,
      problems: this.#problems,
      ownersRefused: this.#ownersRefused,
    };
  }

  #newWindow(): FileWindow {
    const { pool, signal } = this.#options;
    return new FileWindow(this.#indexed, { pool, signal, isDelta: this.#decision.request.isDelta ?? false });
  }

  /** A folder that lies on the way to a wanted one is made too; its metadata is set only if it was not there. */
  #addFolder(path: string, { place, node }: { place: string; node: TreeNode }): void {
    const isWanted = this.#selection.isWanted(path);
    if (!isWanted && this.#decision.request.include !== undefined && this.#decision.request.include.length > 0) return;
    const isOnTheWay = !this.#isInsideSource(path);
    this.#attempt(place, () => {
      const isNew = makeFolder(place, { mayFollow: isOnTheWay });
      if (isNew || !isOnTheWay) this.#folders.push({ place, node });
    });
  }

  /** Below or at one of the paths that were backed up; `/srv` is not when `/srv/www` was. */
  #isInsideSource(path: string): boolean {
    const { paths } = this.#decision.request.snapshot;
    return paths.length === 0 || paths.some((each) => path === each || path.startsWith(`${each}/`));
  }

  #addEntry(entry: FilePlace, window: FileWindow): void {
    const { place, node } = entry;
    const key = hardLinkKey(node);
    const original = key === undefined ? undefined : this.#links.get(key);
    this.#files += 1;
    if (original !== undefined) {
      this.#lateLinks.push({ place, original, node });
      return;
    }
    if (key !== undefined) this.#links.set(key, place);
    if (node.type === 'file') this.#attempt(place, () => window.add(entry));
    else this.#attempt(place, () => makeOther(place, metadataOf(node)), node);
  }

  async #finishWindow(window: FileWindow): Promise<void> {
    const { problems, writtenBytes } = await window.restore((bytes) => {
      this.#bytes += bytes;
      this.#options.onProgress?.({ files: this.#files, bytes: this.#bytes });
    });
    this.#writtenBytes += writtenBytes;
    const broken = new Set(problems.map(({ path }) => path));
    this.#problems.push(...problems);
    for (const { place, node } of window.files) if (!broken.has(place)) this.#applyMetadata(place, node);
    this.#options.onProgress?.({ files: this.#files, bytes: this.#bytes });
  }

  /** Runs `act`, then sets the metadata if a node is given; what fails is reported, and the restore goes on. */
  #attempt(place: string, act: () => void, node?: TreeNode): void {
    try {
      act();
      if (node !== undefined) this.#applyMetadata(place, node);
    } catch (error) {
      if (error instanceof AppError) throw error;
      this.#problems.push({ path: place, message: error instanceof Error ? error.message : String(error) });
    }
  }

  #applyMetadata(place: string, node: TreeNode): void {
    try {
      const { problems, isOwnerRefused } = applyMetadata(place, metadataOf(node));
      if (isOwnerRefused) this.#ownersRefused += 1;
      for (const message of problems) this.#problems.push({ path: place, message });
    } catch (error) {
      this.#problems.push({ path: place, message: error instanceof Error ? error.message : String(error) });
    }
  }
}
