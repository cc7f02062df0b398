// Where the entries of a snapshot go below the target of a restore, and which of them are wanted. Pure.
import { join } from 'node:path';
import { pathPatterns } from '../../base/path-patterns.ts';

export interface TreeSelection {
  /** Folder of the snapshot that becomes the target itself; `/` puts the whole path below the target. */
  readonly base: string;
  /** Patterns (`base/path-patterns.ts`); what lies below a fitting folder is wanted too. Everything if empty. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export interface Selection {
  /** Whether an entry is restored itself. */
  isWanted(path: string): boolean;
  /** Whether something below a folder may be wanted. */
  enters(path: string): boolean;
  /** Where an entry goes, relative to the target; undefined for the base itself and what lies outside of it. */
  relative(path: string): string | undefined;
}

export function selection({ base, include, exclude }: TreeSelection): Selection {
  const root = base === '/' ? '' : base.replace(/\/+$/, '');
  const isIncluded = pathPatterns(include);
  const isExcluded = pathPatterns(exclude);
  const isBelowBase = (path: string): boolean => path.startsWith(`${root}/`);
  return {
    isWanted: (path) => isBelowBase(path) && !isExcluded(path) && (include.length === 0 || isIncluded(path)),
    enters: (path) => !isExcluded(path) && (isBelowBase(path) || path === root || root.startsWith(`${path}/`)),
    relative: (path) => (isBelowBase(path) ? path.slice(root.length + 1) : undefined),
  };
}

/** The absolute place of an entry; `relative` comes from checked names only, so it can't leave the target. */
export function placeOf(target: string, relative: string): string {
  const place = join(target, relative);
  const inside = target === '/' ? '/' : `${target}/`;
  if (!place.startsWith(inside)) throw new Error(`'${relative}' would leave '${target}'`);
  return place;
}
