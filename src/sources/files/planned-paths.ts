// Merges the paths to back up into one tree from `/` down, so that a walk passes each directory once.
import { posix } from 'node:path';
import { compareNames } from '../../base/byte-name.ts';

export interface PlannedFolder {
  /** True if it was named, so that everything below is wanted; false for a directory on the way. */
  isGiven: boolean;
  readonly children: Map<string, PlannedFolder>;
}

/** Absolute, without `.` and `..`, each once, in the order given. */
export function absolutePaths(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => posix.resolve(path)))];
}

/** The root folder. */
export function planPaths(paths: readonly string[]): PlannedFolder {
  const root: PlannedFolder = { isGiven: false, children: new Map() };
  for (const path of paths) {
    let folder = root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      let next = folder.children.get(name);
      if (next === undefined) folder.children.set(name, (next = { isGiven: false, children: new Map() }));
      folder = next;
    }
    folder.isGiven = true;
  }
  return root;
}

export function sortedNames(folder: PlannedFolder): string[] {
  return [...folder.children.keys()].toSorted(compareNames);
}
