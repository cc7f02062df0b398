// Backs up directories and files of this machine: uploads, documents, logs. The engine reads the content; this source
// finds what there is to read and says how it looks.
import assert from 'node:assert/strict';
import { closeSync, constants, lstatSync, opendirSync, openSync } from 'node:fs';
import { fsPath } from '../../base/byte-name.ts';
import { AppError, errnoOf, messageOf } from '../../base/errors.ts';
import { native } from '../../base/native.ts';
import type { Finding } from '../../model/finding.ts';
import type { BackupSession, EntryProblem, Source } from '../source.ts';
import { pathPatterns } from '../../base/path-patterns.ts';
import { absolutePaths, planPaths } from './planned-paths.ts';
import { type WalkRules, walkFiles } from './walk.ts';

export interface FilesOptions {
  /** Directories, files or links; relative ones start at the working directory. */
  readonly paths: readonly string[];
  /** With restic's meaning (`exclude-patterns.ts`): `*.tmp`, `node_modules`, `/srv/cache`, `logs/**`, `!keep.tmp`. */
  readonly excludes?: readonly string[] | undefined;
  /** Leaves out what lies in a directory marked as a cache by a CACHEDIR.TAG; the tag itself stays. */
  readonly excludeCaches?: boolean | undefined;
  readonly excludeLargerThanBytes?: number | undefined;
  /** Leaves out what is mounted below a path; the empty mount point stays. */
  readonly oneFileSystem?: boolean | undefined;
}

export function filesSource(options: FilesOptions): Source {
  const paths = absolutePaths(options.paths);
  if (paths.length === 0) {
    throw new AppError('CONFIG_INVALID', 'no paths to back up are given', {
      hint: 'Name at least one folder or file.',
    });
  }
  const rules: WalkRules = {
    isExcluded: pathPatterns(options.excludes ?? []),
    excludeCaches: options.excludeCaches ?? false,
    excludeLargerThanBytes: options.excludeLargerThanBytes ?? Infinity,
    oneFileSystem: options.oneFileSystem ?? false,
  };
  return {
    kind: 'files',
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable; lstat is quick.
    async *check() {
      yield checkPaths(paths);
      yield checkExcludes(paths, rules);
      yield checkAttributes();
    },
    // eslint-disable-next-line typescript/require-await -- As above.
    async open(signal) {
      signal.throwIfAborted();
      for (const path of paths) requirePresent(path);
      return openSession(paths, rules);
    },
    restore: { kind: 'tree' },
  };
}

function openSession(paths: readonly string[], rules: WalkRules): BackupSession {
  const problems: EntryProblem[] = [];
  let isWalked = false;
  return {
    paths,
    problems,
    entries(signal) {
      assert.ok(!isWalked);
      isWalked = true;
      return walkFiles(planPaths(paths), { ...rules, problems }, signal);
    },
    facts: () => Promise.resolve({}),
    fingerprint: () => Promise.resolve(undefined), // The tree itself says it all.
    [Symbol.asyncDispose]: () => Promise.resolve(), // Nothing stays open between two entries.
  };
}

/** A path that is gone must not end as a good backup of nothing. */
function requirePresent(path: string): void {
  try {
    lstatSync(fsPath(path));
  } catch (error) {
    throw lookFailure(path, error);
  }
}

function lookFailure(path: string, error: unknown): AppError {
  const errno = errnoOf(error) ?? '';
  if (['ENOENT', 'ENOTDIR'].includes(errno)) {
    const hint = 'Mount or create it, or correct the path.';
    return new AppError('SOURCE_UNREACHABLE', `${path} does not exist`, { hint, cause: error });
  }
  const why = errno === '' ? messageOf(error) : errno;
  return new AppError('SOURCE_DENIED', `${path} can't be looked at: ${why}`, {
    hint: 'Run as a user who may.',
    cause: error,
  });
}

function checkPaths(paths: readonly string[]): Finding {
  const aspect = 'paths';
  const problems = paths.flatMap((path) => {
    try {
      openAndClose(path);
      return [];
    } catch (error) {
      return [lookFailure(path, error)];
    }
  });
  if (problems.length === 0) return { aspect, outcome: 'passed', message: `there and readable: ${paths.join(', ')}` };
  const isGone = problems.every(({ code }) => code === 'SOURCE_UNREACHABLE');
  const hint = isGone ? problems[0]?.hint : 'Correct the paths, or run as a user who may read them.';
  return { aspect, outcome: 'failed', message: problems.map(({ message }) => message).join('; '), hint };
}

/** Opens, rather than asks `access`: that one forgets the rights of a service which has the capability to read all. */
function openAndClose(path: string): void {
  const stats = lstatSync(fsPath(path));
  if (stats.isDirectory()) opendirSync(fsPath(path)).closeSync();
  else if (stats.isFile()) closeSync(openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW));
}

function checkExcludes(paths: readonly string[], { isExcluded }: WalkRules): Finding {
  const aspect = 'exclude patterns';
  const lost = paths.filter((path) => isExcluded(path));
  if (lost.length === 0)
    return { aspect, outcome: 'passed', message: 'no pattern excludes a path that is to be backed up' };
  const hint = 'Correct the patterns, or anchor them with a leading slash.';
  return { aspect, outcome: 'failed', message: `a pattern excludes ${lost.join(', ')} as a whole`, hint };
}

function checkAttributes(): Finding {
  const aspect = 'extended attributes';
  if (native() !== undefined) return { aspect, outcome: 'passed', message: 'extended attributes and ACLs are read' };
  const hint = 'Run on Linux with a Node that has node:ffi if the files carry attributes or ACLs that matter.';
  return { aspect, outcome: 'warning', message: 'extended attributes and ACLs are left out on this machine', hint };
}
