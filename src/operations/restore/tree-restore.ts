// Carries out the restore of a tree of files: folders first, contents fetched pack by pack and written in parallel by the
// workers, then links and special files, metadata last. Memory is bounded: files are handled in windows.
import { dirname } from 'node:path';
import { AppError, messageOf, type ErrorCode } from '../../base/errors.ts';
import { applyMetadata } from '../../base/apply-metadata.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { fetchSlabs, type SlabPool } from '../../repository/slab-pool.ts';
import { walkTree } from '../../repository/walk.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { ownFolder } from '../own-folder.ts';
import { metadataOf } from '../node-metadata.ts';
import { FileWindow, type FilePlace, type RestoreProblem } from './file-window.ts';
import {
  besideName,
  hardLinkKey,
  isSameFile,
  makeFolder,
  makeHardLink,
  makeOther,
  makeTarget,
  removeIfThere,
} from './place-entry.ts';
import { placeOf, selection, type Selection } from './target-path.ts';
import { scopeOf, type TreeRestoreDecision } from './tree-decision.ts';
import { foldersToMake, markBegun, type RestoreScope, type UnfinishedRestore } from './unfinished-restores.ts';

export interface TreeRestoreOptions {
  readonly pool: Workers;
  readonly signal: AbortSignal;
  /** What is restored will be thrown away. */
  readonly isTemporary?: boolean | undefined;
  onProgress?(progress: TreeRestoreProgress): void;
}

export interface TreeRestoreProgress {
  readonly files: number;
  readonly bytes: number;
}

export interface TreeRestoreResult {
  /** Those that came back, and what they hold. */
  readonly files: number;
  readonly bytes: number;
  /** Bytes fetched and written; less than `bytes` where existing content was right already. */
  readonly writtenBytes: number;
  /** Entries that did not come back as they were. */
  readonly problems: readonly RestoreProblem[];
  /** Entries whose owner could not be set for want of rights. */
  readonly ownersRefused: number;
}

const refusals: Readonly<Record<string, ErrorCode>> = {
  'disk space': 'TARGET_SPACE',
  selection: 'NOT_FOUND',
  access: 'RESTORE_FAILED',
};

/** Refuses a decision with failed findings; else restores and reports what did not come back. */
export async function executeTreeRestore(
  indexed: IndexedRepository,
  decision: TreeRestoreDecision,
  options: TreeRestoreOptions,
): Promise<TreeRestoreResult> {
  const failed = decision.findings.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) {
    const code = refusals[failed.aspect] ?? 'TARGET_UNSAFE';
    throw new AppError(code, failed.message, { hint: failed.hint ?? 'Choose another target.' });
  }
  return new TreeRestore(indexed, decision, options).perform();
}

/** A folder on the way from the root to the entry at hand. */
interface OpenFolder {
  readonly path: string;
  readonly place: string;
  readonly node: TreeNode;
  /** Folders that nothing is restored into are not made; one that can't be made keeps all below it from being tried. */
  state: 'unmade' | 'made' | 'refused';
}

class TreeRestore {
  readonly #indexed: IndexedRepository;
  readonly #decision: TreeRestoreDecision;
  readonly #options: TreeRestoreOptions;
  readonly #scope: RestoreScope;
  readonly #selection: Selection;
  readonly #slabs: SlabPool;
  /** Folders above the source that an earlier restore made before it was killed. */
  readonly #halfMade: ReadonlySet<string>;
  readonly #problems: RestoreProblem[] = [];
  readonly #way: OpenFolder[] = [];
  readonly #folders: { readonly place: string; readonly node: TreeNode }[] = [];
  readonly #links = new Map<string, FilePlace[]>();
  readonly #lateLinks: { readonly place: string; readonly original: string; readonly node: TreeNode }[] = [];
  readonly #broken = new Map<string, ErrorCode | undefined>();
  #ownersRefused = 0;
  #files = 0;
  #bytes = 0;
  /** Of all that were tried. */
  readonly #tried = { files: 0, bytes: 0 };
  #writtenBytes = 0;

  constructor(indexed: IndexedRepository, decision: TreeRestoreDecision, options: TreeRestoreOptions) {
    this.#indexed = indexed;
    this.#decision = decision;
    this.#options = options;
    this.#slabs = fetchSlabs(options.pool.threadsMax, indexed.repository.store);
    this.#scope = scopeOf(decision.request, decision.target);
    this.#selection = selection(this.#scope);
    this.#halfMade = new Set(decision.unfinished.flatMap(({ restore }) => restore.madeFolders));
  }

  async perform(): Promise<TreeRestoreResult> {
    const { signal } = this.#options;
    const { request, target } = this.#decision;
    makeTarget(target);
    const mark = markBegun(this.#scope, this.#asUnfinished());
    let window = this.#newWindow();
    for await (const { path, node } of walkTree(this.#indexed, request.snapshot.tree, {
      signal,
      enters: (folder) => this.#enters(folder),
      onUnreadable: (folder, { message }) => this.#reportFolder(folder, message),
    })) {
      const relative = this.#selection.relative(path);
      if (relative === undefined || path === ownFolder || path.startsWith(`${ownFolder}/`)) continue;
      this.#leaveTo(path);
      const place = placeOf(target, relative);
      if (node.type === 'dir') this.#addFolder({ path, place, node });
      else if (this.#selection.isWanted(path)) this.#addEntry({ path, place, node }, window);
      if (window.isFull) {
        await this.#finishWindow(window);
        window = this.#newWindow();
      }
    }
    await this.#finishWindow(window);
    for (const link of this.#lateLinks) this.#addLateLink(link);
    // Whoever is told that it is done may take the disk away; only what is thrown away anyway need not last.
    if (this.#options.isTemporary !== true) await this.#options.pool.run('flush', { folder: target });
    this.#finishFolders(mark);
    return {
      files: this.#files,
      bytes: this.#bytes,
      writtenBytes: this.#writtenBytes,
      problems: this.#problems,
      ownersRefused: this.#ownersRefused,
    };
  }

  #asUnfinished(): UnfinishedRestore {
    const { id: snapshot, tree } = this.#decision.request.snapshot;
    const { base, include, exclude } = this.#scope;
    const beganAt = new Date(this.#indexed.repository.clock.now()).toISOString();
    const madeFolders = [...new Set([...this.#halfMade, ...foldersToMake(this.#scope)])];
    return { snapshot, tree, base, include: [...include], exclude: [...exclude], beganAt, madeFolders };
  }

  /** From the deepest up, as each would change the time of the one above. So does a mark that goes. */
  #finishFolders(ownMark: string | undefined): void {
    const repeated = this.#decision.unfinished.filter(({ isRepeated }) => isRepeated).map(({ mark }) => mark);
    const marks = new Set(ownMark === undefined ? repeated : [...repeated, ownMark]);
    for (const { place, node } of this.#folders.toReversed()) {
      for (const mark of marks) if (dirname(mark) === place) this.#attempt(mark, () => removeIfThere(mark));
      this.#applyMetadata(place, node);
    }
    for (const mark of marks) this.#attempt(mark, () => removeIfThere(mark));
  }

  #newWindow(): FileWindow {
    const { pool, signal } = this.#options;
    const slabs = this.#slabs;
    return new FileWindow(this.#indexed, { pool, slabs, signal, isDelta: this.#decision.request.isDelta ?? false });
  }

  #enters(folder: string): boolean {
    const last = this.#way.at(-1);
    return this.#selection.enters(folder) && !(last?.path === folder && last.state === 'refused');
  }

  #leaveTo(path: string): void {
    for (let last = this.#way.at(-1); last !== undefined && !path.startsWith(`${last.path}/`); last = this.#way.at(-1))
      this.#way.pop();
  }

  #addFolder(folder: Omit<OpenFolder, 'state'>): void {
    this.#way.push({ ...folder, state: 'unmade' });
    if (this.#selection.isWanted(folder.path)) this.#makeWay();
  }

  /** Makes the folders that lead to the entry at hand; false if one of them can't be made. */
  #makeWay(): boolean {
    for (const folder of this.#way) {
      if (folder.state === 'unmade') this.#makeFolder(folder);
      if (folder.state === 'refused') return false;
    }
    return true;
  }

  /** The metadata of a folder above the source is set only if it was not there. */
  #makeFolder(folder: OpenFolder): void {
    const { path, place, node } = folder;
    const isAbove = !this.#isInsideSource(path);
    folder.state = 'refused';
    this.#attempt(place, () => {
      // Only in place: elsewhere nobody has links that must stay, but an earlier snapshot may have planted one.
      const isNew = makeFolder(place, { mayFollow: isAbove && this.#decision.target === '/' });
      if (isNew || !isAbove || this.#halfMade.has(place)) this.#folders.push({ place, node });
      folder.state = 'made';
    });
  }

  /** Below or at one of the paths that were backed up; `/srv` is not when `/srv/www` was. */
  #isInsideSource(path: string): boolean {
    const { paths } = this.#decision.request.snapshot;
    return paths.length === 0 || paths.some((each) => path === each || path.startsWith(`${each}/`));
  }

  #addEntry(entry: FilePlace, window: FileWindow): void {
    const { place, node } = entry;
    if (!this.#makeWay()) return;
    const key = hardLinkKey(node);
    const alike = key === undefined ? [] : (this.#links.get(key) ?? []);
    const original = alike.find((each) => isSameFile(each.node, node));
    this.#tried.files += 1;
    // What was to take the place of a file when a restore was killed.
    if (this.#decision.unfinished.length > 0) this.#attempt(place, () => removeIfThere(besideName(place)));
    if (original !== undefined) {
      this.#lateLinks.push({ place, original: original.place, node });
      return;
    }
    if (key !== undefined) this.#links.set(key, [...alike, entry]);
    if (node.type === 'file') this.#attempt(place, () => window.add(entry));
    else this.#attemptFile(place, () => makeOther(place, metadataOf(node)), node);
  }

  /** When all files are there. What did not come back has no second name either. */
  #addLateLink({ place, original, node }: { place: string; original: string; node: TreeNode }): void {
    const code = this.#broken.get(original);
    if (this.#broken.has(original)) this.#report(place, `its other name ${original} did not come back`, code);
    else this.#attemptFile(place, () => makeHardLink(original, place), node);
  }

  async #finishWindow(window: FileWindow): Promise<void> {
    const { complete, problems, bytes, writtenBytes, failure } = await window.restore((more) => {
      this.#tried.bytes += more;
      this.#options.onProgress?.({ ...this.#tried });
    });
    this.#files += complete.length;
    this.#bytes += bytes;
    this.#writtenBytes += writtenBytes;
    const whole = new Set(complete.map(({ place }) => place));
    for (const problem of problems) {
      if (whole.has(problem.path)) this.#problems.push(problem);
      else this.#report(problem.path, problem.message, problem.code);
    }
    for (const { place, node } of complete) this.#applyMetadata(place, node);
    if (failure !== undefined) throw failure;
    this.#options.onProgress?.({ ...this.#tried });
  }

  #reportFolder(folder: string, message: string): void {
    const relative = this.#selection.relative(folder);
    const path = placeOf(this.#decision.target, relative ?? folder.slice(1));
    this.#problems.push({ path, message, isLost: true, code: 'REPOSITORY_DAMAGED' });
  }

  /** An entry did not come back. */
  #report(place: string, message: string, code?: ErrorCode): void {
    this.#broken.set(place, code);
    this.#problems.push({ path: place, message, isLost: true, ...(code !== undefined && { code }) });
  }

  /** What fails is reported, and the restore goes on. */
  #attempt(place: string, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (error instanceof AppError) throw error;
      this.#report(place, messageOf(error));
      return false;
    }
  }

  #attemptFile(place: string, act: () => void, node: TreeNode): void {
    if (!this.#attempt(place, act) || node.type === 'socket') return;
    this.#files += 1;
    this.#applyMetadata(place, node);
  }

  #applyMetadata(place: string, node: TreeNode): void {
    try {
      const { problems, isOwnerRefused } = applyMetadata(place, metadataOf(node));
      if (isOwnerRefused) this.#ownersRefused += 1;
      for (const message of problems) this.#problems.push({ path: place, message });
    } catch (error) {
      this.#problems.push({ path: place, message: messageOf(error) });
    }
  }
}
