// Finds the files that a configuration consists of, and the folders above them, in the order a backup wants.
import { glob, lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, posix, resolve } from 'node:path';
import { compareNames } from '../../base/byte-name.ts';
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';

/** `env`: only names of variables may ever leave its content. */
type ConfigFileKind = 'env' | 'compose' | 'plain';

export interface ConfigFile {
  readonly path: string;
  readonly kind: ConfigFileKind;
  /** A link is kept as one; what it points to is a file of its own in the list. */
  readonly isLink: boolean;
}

export interface ConfigPatterns {
  readonly files: readonly string[];
  readonly compose: readonly string[];
}

export interface FoundFiles {
  readonly files: readonly ConfigFile[];
  /** Patterns that fit nothing. */
  readonly unmatched: readonly string[];
}

const filesMax = 10_000;

/** A path named without wildcards must be there; a pattern may fit nothing, which is told. */
export async function findConfigFiles(patterns: ConfigPatterns): Promise<FoundFiles> {
  const found = new Map<string, ConfigFile>();
  const unmatched: string[] = [];
  const groups = [
    [patterns.compose, 'compose'],
    [patterns.files, undefined],
  ] as const;
  for (const [group, kind] of groups) {
    for (const pattern of group) {
      const paths = await expand(pattern);
      if (paths.length === 0) unmatched.push(pattern);
      for (const path of paths) await addFile(found, path, kind);
    }
  }
  const files = [...found.values()].toSorted((left, right) => comparePaths(left.path, right.path));
  return { files, unmatched };
}

async function expand(pattern: string): Promise<string[]> {
  if (!/[*?[\]{}]/.test(pattern)) return [resolve(pattern)];
  const paths: string[] = [];
  for await (const match of glob(resolve(pattern), { withFileTypes: true })) {
    if (!match.isFile() && !match.isSymbolicLink()) continue;
    paths.push(join(match.parentPath, match.name));
    if (paths.length > filesMax) throw tooMany(pattern);
  }
  return paths;
}

function tooMany(pattern: string): AppError {
  return new AppError('CONFIG_INVALID', `'${pattern}' fits more than ${filesMax} files`, {
    hint: "Name configuration files only; use the source 'files' for folders of data.",
  });
}

async function addFile(found: Map<string, ConfigFile>, given: string, kind: ConfigFileKind | undefined): Promise<void> {
  try {
    // Folders on the way may be links (`current` → `releases/7`); entries need the folders that hold the file.
    const path = join(await realpath(dirname(given)), basename(given));
    if (found.has(path)) return;
    const stats = await lstat(path);
    const isLink = stats.isSymbolicLink();
    if (!stats.isFile() && !isLink) throw notAFile(path);
    const kindOrGuess = kind ?? kindOf(path);
    found.set(path, { path, kind: kindOrGuess, isLink });
    if (isLink) await addFile(found, await realpath(path), kindOrGuess);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || isAppError(error)) throw error;
    const isGone = code === 'ENOENT' || code === 'ENOTDIR';
    const fact = isGone ? `${given} does not exist` : `${given} can't be looked at: ${code}`;
    throw new AppError(isGone ? 'SOURCE_UNREACHABLE' : 'SOURCE_DENIED', fact, {
      hint: isGone ? 'Create it, or correct the path.' : 'Run as a user who may read it.',
      cause: error,
    });
  }
}

function notAFile(path: string): AppError {
  return new AppError('SOURCE_UNSUPPORTED', `${path} is no file`, {
    hint: "Name files or patterns of files; use the source 'files' for folders.",
  });
}

function kindOf(path: string): ConfigFileKind {
  const name = basename(path);
  if (/^\.env(?:\.|$)|\.env$/.test(name)) return 'env';
  return /^(?:docker-)?compose(?:[.-].*)?\.ya?ml$/.test(name) ? 'compose' : 'plain';
}

/** The folders above the files and the files, parents first, each sub-tree in one piece. */
export function withFolders(files: readonly string[]): string[] {
  const paths = new Set<string>();
  for (const file of files) {
    for (let path = file; path !== '/'; path = posix.dirname(path)) paths.add(path);
  }
  return [...paths].toSorted(comparePaths);
}

/** By segments: plain text order would put `/a-b` between `/a` and `/a/c`. */
function comparePaths(left: string, right: string): number {
  const [leftParts, rightParts] = [left.split('/'), right.split('/')];
  for (const [index, part] of leftParts.entries()) {
    const other = rightParts[index];
    if (other === undefined) return 1;
    const order = compareNames(part, other);
    if (order !== 0) return order;
  }
  return leftParts.length - rightParts.length;
}
