// Which revision a folder is at, if it lies in a git working copy.
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { promisify } from 'node:util';
import { AppError, errnoOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { programEnvironment } from '../../base/program-environment.ts';

export type GitState =
  | { readonly kind: 'revision'; readonly facts: GitFacts }
  /** No working copy, or one that git refuses to look at (owned by someone else). */
  | { readonly kind: 'none' }
  | { readonly kind: 'noGit' };

export interface GitFacts extends JsonObject {
  readonly folder: string;
  /** Empty before the first commit. */
  readonly revision: string;
  /** Empty if none is checked out. */
  readonly branch: string;
  /** Without user, password and token; empty if there is none. */
  readonly remote: string;
  /** Number of files that differ from the revision or are not in it. */
  readonly changedFiles: number;
}

const answerBytesMax = 16 * 1024 * 1024;
const answerMaxMs = 60_000;

export interface GitOptions {
  /** Where git is looked for: the PATH. */
  readonly programFolders?: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

export async function readGitRevision(folder: string, options: GitOptions): Promise<GitState> {
  const ask = (...parts: string[]) => askGit(folder, parts, options);
  try {
    const top = await ask('rev-parse', '--show-toplevel');
    if (top === undefined) return { kind: 'none' };
    const status = (await ask('status', '--porcelain=v1', '-z', '--no-renames')) ?? '';
    return {
      kind: 'revision',
      facts: {
        folder: top,
        revision: (await ask('rev-parse', '--verify', '--quiet', 'HEAD')) ?? '',
        branch: (await ask('symbolic-ref', '--quiet', '--short', 'HEAD')) ?? '',
        remote: remoteWithoutCredentials((await ask('config', '--get', 'remote.origin.url')) ?? ''),
        changedFiles: status.split('\0').filter((line) => line !== '').length,
      },
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'noGit' };
    throw error;
  }
}

/** Its answer, or undefined where git says no. Takes no locks and starts no monitor of the working copy's own choice. */
async function askGit(
  folder: string,
  parts: readonly string[],
  { programFolders, signal }: GitOptions,
): Promise<string | undefined> {
  // Its settings in the home folder say which working copies of others it trusts.
  const env = programEnvironment(programFolders, { HOME: homedir() });
  try {
    const { stdout } = await promisify(execFile)(
      'git',
      ['--no-optional-locks', '-c', 'core.fsmonitor=false', '-C', folder, ...parts],
      { env, signal, maxBuffer: answerBytesMax, timeout: answerMaxMs },
    );
    return stdout.replace(/\n$/, '');
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'number') return undefined;
    if (error instanceof Error && 'killed' in error && error.killed === true && !signal.aborted) {
      throw new AppError('SOURCE_FAILED', `git did not answer in ${folder} within ${answerMaxMs / 1000} s`, {
        hint: 'Run git status there by hand and see what holds it up.',
      });
    }
    throw error;
  }
}

/** `https://user:token@host/x.git?key=…` → `https://host/x.git`; `git@host:x.git` → `host:x.git`. */
export function remoteWithoutCredentials(remote: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(remote) ? URL.parse(remote) : null;
  if (url === null) return remote.replace(/^.*@/s, '');
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}
