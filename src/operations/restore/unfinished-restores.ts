// A small file at the target says that a restore has begun, and goes when it ends. Files under way have their final name
// and full length, so that nothing else tells a folder that a killed restore left from one that is complete.
import { hash } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fsPath } from '../../base/byte-name.ts';
import { errnoOf } from '../../base/errors.ts';
import { isFolder, lookAt } from './place-entry.ts';
import { placeOf, selection, type TreeSelection } from './target-path.ts';

const markName = /^\.lifeboat-unfinished-[0-9a-f]{16}$/;

const markSchema = z.object({
  snapshot: z.hex().length(64),
  tree: z.hex().length(64),
  base: z.string(),
  include: z.array(z.string()).readonly(),
  exclude: z.array(z.string()).readonly(),
  beganAt: z.iso.datetime(),
  /** Folders above what was backed up that were not there: the restore makes them, so their metadata is its affair. */
  madeFolders: z.array(z.string()).readonly(),
});

export type UnfinishedRestore = Readonly<z.infer<typeof markSchema>>;

export interface FoundUnfinished {
  /** The file that tells of it. */
  readonly mark: string;
  readonly restore: UnfinishedRestore;
}

export interface RestoreScope extends TreeSelection {
  readonly target: string;
  /** What was backed up. */
  readonly paths: readonly string[];
}

export function unfinishedWords({ snapshot, beganAt }: UnfinishedRestore): string {
  return `a restore of snapshot ${snapshot.slice(0, 8)} that began ${beganAt} had not ended`;
}

/** Whether a restore brings back all that the earlier one was to bring, from the same tree. */
export function isRepeatedBy(
  earlier: UnfinishedRestore,
  { tree, base, include, exclude }: Pick<TreeSelection, 'base' | 'include' | 'exclude'> & { readonly tree: string },
): boolean {
  if (earlier.tree !== tree || earlier.base !== base) return false;
  const isWhole = include.length === 0 && exclude.length === 0;
  return isWhole || JSON.stringify([earlier.include, earlier.exclude]) === JSON.stringify([include, exclude]);
}

/** Those that earlier runs left at the target. Looks, touches nothing. */
export function findUnfinished(scope: RestoreScope): FoundUnfinished[] {
  return markFolders(scope).flatMap((folder) =>
    namesIn(folder)
      .filter((name) => markName.test(name))
      .flatMap((name) => readMark(join(folder, name))),
  );
}

/** The folders above what was backed up that are not there yet. */
export function foldersToMake(scope: RestoreScope): string[] {
  const isAbove = (path: string): boolean => !scope.paths.includes(path);
  return placesOnTheWay(scope, isAbove).filter((place) => lookAt(place) === undefined);
}

/** Returns the file, or nothing where none can be written: a restore must not fail for want of it. */
export function markBegun(scope: RestoreScope, restore: UnfinishedRestore): string | undefined {
  const { tree, base, include, exclude } = restore;
  const name = `.lifeboat-unfinished-${hash('sha256', JSON.stringify([tree, base, include, exclude])).slice(0, 16)}`;
  for (const folder of markFolders(scope)) {
    const mark = join(folder, name);
    try {
      writeMark(mark, restore);
      return mark;
    } catch (error) {
      // What keeps all else from being written as well is reported there.
      if (errnoOf(error) === undefined) throw error;
    }
  }
  return undefined;
}

/** Durable before the first file is: a power failure must not leave half a restore without it. */
function writeMark(mark: string, restore: UnfinishedRestore): void {
  // Whatever else has that name is neither followed nor waited for.
  const safely = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = openSync(fsPath(mark), constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | safely, 0o600);
  try {
    writeSync(file, `${JSON.stringify(restore, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Where marks lie: in the target. In place that is `/`, or for whoever may not write there the next folder on the way to
 * what was backed up.
 */
function markFolders(scope: RestoreScope): string[] {
  if (scope.target !== '/') return isFolder(scope.target) ? [scope.target] : [];
  return ['/', ...placesOnTheWay(scope, () => true)].filter((place) => isFolder(place) && !isForAll(place));
}

/** Like `/tmp`: what lies there may be anybody's, and of anything. */
function isForAll(folder: string): boolean {
  return ((lookAt(folder)?.mode ?? 0) & 0o002) !== 0;
}

/** Places of the paths that were backed up and of the folders above them, each once, from the top down. */
function placesOnTheWay(scope: RestoreScope, isWanted: (path: string) => boolean): string[] {
  const chosen = selection(scope);
  const places = new Set<string>();
  for (const path of scope.paths) {
    const way: string[] = [];
    for (let at = path; at !== dirname(at); at = dirname(at)) way.unshift(at);
    for (const each of way.filter(isWanted)) {
      const relative = chosen.relative(each);
      if (relative !== undefined) places.add(placeOf(scope.target, relative));
    }
  }
  return [...places];
}

/** Nothing for a folder that can't be listed: whoever made a mark there could. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(fsPath(folder));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}

/** Nothing for a file of that name that we did not write, or that is another user's. */
function readMark(mark: string): FoundUnfinished[] {
  try {
    if (lookAt(mark)?.isFile() !== true) return [];
    const restore = markSchema.parse(JSON.parse(readFileSync(fsPath(mark), 'utf8')));
    return [{ mark, restore }];
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    return [];
  }
}
