// Backs up what an application is configured by: env files, compose files and others, with the git revision they were at.
// Values of env files are in the content alone, which the repository encrypts; facts and findings carry names.
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { count } from '../../base/count.ts';
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';
import { readMetadata } from '../../base/file-metadata.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Finding } from '../../model/finding.ts';
import type { BackupSession, Entry, EntryProblem, Source } from '../source.ts';
import { findConfigFiles, withFolders, type ConfigFile, type FoundFiles } from './config-files.ts';
import { readFileFacts } from './file-facts.ts';
import { readGitRevision, type GitFacts } from './git-revision.ts';

export interface ConfigSourceOptions {
  /** Paths and patterns (`/srv/app/*.yml`); env and compose files are known by their names. */
  readonly files: readonly string[];
  /** Compose files of other names. */
  readonly compose?: readonly string[] | undefined;
  /** A git working copy whose revision is noted, beside those that the files lie in. */
  readonly repositoryFolder?: string | undefined;
  /** Where git is looked for: the PATH. */
  readonly programFolders?: readonly string[] | undefined;
}

export function configSource(options: ConfigSourceOptions): Source {
  const patterns = { files: options.files, compose: options.compose ?? [] };
  if (patterns.files.length + patterns.compose.length === 0) {
    throw new AppError('CONFIG_INVALID', 'no configuration files are given', { hint: 'Name at least one file.' });
  }
  return {
    kind: 'config',
    check: (signal) => checkConfig(() => findConfigFiles(patterns), options, signal),
    async open(signal) {
      signal.throwIfAborted();
      const found = await findConfigFiles(patterns);
      if (found.files.length === 0) throw nothingFound(found);
      return await openSession(found, options, signal);
    },
    restore: { kind: 'tree' },
  };
}

function nothingFound(found: FoundFiles): AppError {
  return new AppError('SOURCE_UNREACHABLE', `no file fits ${found.unmatched.join(', ')}`, {
    hint: 'Check the patterns of the component.',
  });
}

async function openSession(found: FoundFiles, git: GitPlace, signal: AbortSignal): Promise<BackupSession> {
  const problems: EntryProblem[] = found.unmatched.map((path) => ({ path, message: 'fits no file' }));
  const files: JsonObject[] = [];
  for (const file of found.files) {
    if (file.isLink) continue;
    const { facts, problem } = await readFileFacts(file, signal);
    files.push(facts);
    if (problem !== undefined) problems.push({ path: file.path, message: problem });
  }
  const { revisions } = await gitRevisions(found.files, git, signal);
  const paths = found.files.map(({ path }) => path);
  return {
    paths,
    problems,
    entries: (walkSignal) => walk(paths, problems, walkSignal),
    facts: () => Promise.resolve({ files, git: revisions }),
    fingerprint: () => Promise.resolve(undefined), // The tree itself says it all.
    [Symbol.asyncDispose]: () => Promise.resolve(), // Nothing stays open between two entries.
  };
}

// eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
async function* walk(paths: readonly string[], problems: EntryProblem[], signal: AbortSignal): AsyncIterable<Entry> {
  for (const path of withFolders(paths)) {
    signal.throwIfAborted();
    try {
      const metadata = readMetadata(path);
      const content = metadata.type === 'file' ? ({ from: 'file', path } as const) : undefined;
      yield { kind: 'whole', path, metadata, content };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      problems.push({ path, message: `vanished or became unreadable: ${errnoOf(error)}` });
    }
  }
  signal.throwIfAborted();
}

type GitPlace = Pick<ConfigSourceOptions, 'repositoryFolder' | 'programFolders'>;

interface Revisions {
  readonly revisions: readonly GitFacts[];
  readonly hasGit: boolean;
}

async function gitRevisions(
  files: readonly ConfigFile[],
  { repositoryFolder, programFolders }: GitPlace,
  signal: AbortSignal,
): Promise<Revisions> {
  const folders = new Set(files.map(({ path }) => dirname(path)));
  if (repositoryFolder !== undefined) folders.add(repositoryFolder);
  const revisions = new Map<string, GitFacts>();
  for (const folder of folders) {
    const state = await readGitRevision(folder, { programFolders, signal });
    if (state.kind === 'noGit') return { revisions: [], hasGit: false };
    if (state.kind === 'revision') revisions.set(state.facts.folder, state.facts);
  }
  return { revisions: [...revisions.values()], hasGit: true };
}

async function* checkConfig(
  find: () => Promise<FoundFiles>,
  git: GitPlace,
  signal: AbortSignal,
): AsyncIterable<Finding> {
  let found: FoundFiles;
  try {
    found = await find();
    if (found.files.length === 0) throw nothingFound(found);
  } catch (error) {
    if (!isAppError(error)) throw error;
    yield { aspect: 'files', outcome: 'failed', message: error.message, hint: error.hint };
    return;
  }
  yield filesFinding(found);
  yield await readableFinding(found.files);
  yield await permissionFinding(found.files);
  yield* composeFindings(found.files, signal);
  yield gitFinding(await gitRevisions(found.files, git, signal));
}

function filesFinding({ files, unmatched }: FoundFiles): Finding {
  const aspect = 'files';
  if (unmatched.length === 0) return { aspect, outcome: 'passed', message: `${count(files.length, 'file')} found` };
  return {
    aspect,
    outcome: 'warning',
    message: `no file fits ${unmatched.join(', ')}`,
    hint: 'Remove the pattern, or correct it.',
  };
}

async function readableFinding(files: readonly ConfigFile[]): Promise<Finding> {
  const aspect = 'access rights';
  const unreadable: string[] = [];
  for (const { path } of files) {
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      unreadable.push(`${path} (${errnoOf(error) ?? 'unknown reason'})`);
    }
  }
  if (unreadable.length === 0) return { aspect, outcome: 'passed', message: 'all files can be read' };
  return {
    aspect,
    outcome: 'failed',
    message: `can't be read: ${unreadable.join(', ')}`,
    hint: 'Grant the user of this program the right to read them.',
  };
}

const readableByOthers = 0o004;

async function permissionFinding(files: readonly ConfigFile[]): Promise<Finding> {
  const aspect = 'env file permissions';
  const open: string[] = [];
  for (const { path, kind, isLink } of files) {
    if (kind !== 'env' || isLink) continue;
    if (((await stat(path)).mode & readableByOthers) !== 0) open.push(path);
  }
  if (open.length === 0) return { aspect, outcome: 'passed', message: 'no env file can be read by everyone' };
  return {
    aspect,
    outcome: 'warning',
    message: `everyone on this machine can read ${open.join(', ')}`,
    hint: 'Take the right away with chmod o-r.',
  };
}

async function* composeFindings(files: readonly ConfigFile[], signal: AbortSignal): AsyncIterable<Finding> {
  const aspect = 'compose files';
  const compose = files.filter(({ kind, isLink }) => kind === 'compose' && !isLink);
  if (compose.length === 0) return;
  const bad: string[] = [];
  for (const file of compose) {
    try {
      if ((await readFileFacts(file, signal)).problem !== undefined) bad.push(file.path);
    } catch (error) {
      if (!isAppError(error)) throw error;
      bad.push(file.path);
    }
  }
  yield bad.length === 0
    ? { aspect, outcome: 'passed', message: `all valid: ${count(compose.length, 'compose file')}` }
    : {
        aspect,
        outcome: 'warning',
        message: `no valid compose file: ${bad.join(', ')}`,
        hint: 'Correct the file; it is backed up as it is.',
      };
}

function gitFinding({ revisions, hasGit }: Revisions): Finding {
  const aspect = 'git revision';
  if (!hasGit) {
    const hint = 'Install git if the configuration is under version control.';
    return { aspect, outcome: 'inconclusive', message: 'there is no program git on this machine', hint };
  }
  if (revisions.length === 0) return { aspect, outcome: 'passed', message: 'the files lie in no git working copy' };
  const changed = revisions.filter(({ changedFiles }) => changedFiles > 0);
  if (changed.length > 0) {
    return {
      aspect,
      outcome: 'warning',
      message: changed.map(({ folder, changedFiles }) => `${folder}: ${changedFiles} uncommitted files`).join(', '),
      hint: 'Commit or discard the changes: the revision alone does not bring them back.',
    };
  }
  const known = revisions.map(({ folder, revision }) => `${folder} is at ${revision.slice(0, 12) || 'no commit'}`);
  return { aspect, outcome: 'passed', message: known.join(', ') };
}
