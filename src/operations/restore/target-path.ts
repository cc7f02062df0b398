// Where the entries of a snapshot go below the target of a restore, and which of them are wanted. Pure.
import { join } from 'node:path';

export interface TreeSelection {
  /** Folder of the snapshot that becomes the target itself; `/` puts the whole path below the target. */
  readonly base: string;
  /** Paths of the snapshot, or patterns; what lies below a fitting folder is wanted too. Everything if empty. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

type Matches = (path: string) => boolean;

/** A pattern without `/` fits a name at any depth; one with `/` fits whole paths, `**` any number of folders. */
function matcher(patterns: readonly string[]): Matches {
  const tests = patterns.map((pattern) => patternTest(pattern));
  return (path) => tests.some((test) => test(path));
}

function patternTest(pattern: string): Matches {
  const trimmed = pattern.length > 1 ? pattern.replace(/\/+$/, '') : pattern;
  const source = trimmed.replaceAll(/\*\*\/|\*\*|[*?]|[.+^${}()|[\]\\]/g, (token) => {
    if (token === '**/') return '(?:.*/)?';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    return `\\${token}`;
  });
  const anchored = trimmed.startsWith('/') ? `^${source}$` : `(?:^|/)${source}$`;
  const expression = new RegExp(anchored, 'su');
  return (path) => expression.test(path);
}

export interface Selection {
  /** Whether an entry is restored itself. */
  isWanted(path: string): boolean;
  /** Whether something below a folder may be wanted. */
  enters(path: string): boolean;
  /** Where an entry goes, relative to the target; undefined for the base itself and what lies outside of it. */
  relative(path: string): string | undefined;
}

function ancestors(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 2).join('/'));
}

export function selection({ base, include, exclude }: TreeSelection): Selection {
  const root = base === '/' ? '' : base.replace(/\/+$/, '');
  const included = matcher(include);
  const excluded = matcher(exclude);
  const isBelowBase: Matches = (path) => path.startsWith(`${root}/`);
  const isWanted: Matches = (path) => {
    if (!isBelowBase(path)) return false;
    const chain = ancestors(path);
    return !chain.some(excluded) && (include.length === 0 || chain.some(included));
  };
  return {
    isWanted,
    enters: (path) => !excluded(path) && (isBelowBase(path) || path === root || root.startsWith(`${path}/`)),
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
