// Looks at the folder into which a data directory is to be written: nothing, the stale copy of a stopped server, or something that
// must not be touched. In doubt it is the last.
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf, messageOf } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { controlFilePath, readControlFile } from '../wal/control-file.ts';

/** Says that a restore into this folder has begun and did not end: then there is no pg_control to know it by. */
export const unfinishedFile = 'lifeboat-restore.unfinished';

export interface TargetFolder {
  readonly state: 'new' | 'empty' | 'stale' | 'unfinished' | 'foreign';
  /** Links of `pg_tblspc` and where they lead. */
  readonly tablespaces: ReadonlyMap<number, string>;
  /** `pg_wal` lies elsewhere. */
  readonly walLink: string | undefined;
  readonly findings: readonly Finding[];
}

const aspect = 'target folder';

export async function lookAtTarget(
  folder: string,
  expected: { readonly systemIdentifier: string; readonly major: number },
): Promise<TargetFolder> {
  const nothing = { tablespaces: new Map<number, string>(), walLink: undefined };
  const names = await namesIn(folder);
  if (names === undefined || names === 'no folder') {
    const isNew = names === undefined;
    const finding: Finding = isNew
      ? { aspect, outcome: 'passed', message: `${folder} is new and is made` }
      : { aspect, outcome: 'failed', message: `${folder} is no folder`, hint: 'Name another place with --to.' };
    return { ...nothing, state: isNew ? 'new' : 'foreign', findings: [finding] };
  }
  if (names.every((name) => name === 'lost+found')) {
    return { ...nothing, state: 'empty', findings: [{ aspect, outcome: 'passed', message: `${folder} is empty` }] };
  }
  const problem = await foreignProblem(folder, names, expected);
  const parts = { tablespaces: await tablespaceLinks(folder), walLink: await linkAt(join(folder, 'pg_wal')) };
  if (problem !== undefined) return { ...parts, state: 'foreign', findings: [problem] };
  const isUnfinished = names.includes(unfinishedFile);
  return {
    ...parts,
    state: isUnfinished ? 'unfinished' : 'stale',
    findings: [
      {
        aspect,
        outcome: 'passed',
        message: isUnfinished
          ? `${folder} holds a restore that did not end`
          : `${folder} is a data directory of the same system, and its server is stopped`,
      },
    ],
  };
}

async function foreignProblem(
  folder: string,
  names: readonly string[],
  { systemIdentifier, major }: { readonly systemIdentifier: string; readonly major: number },
): Promise<Finding | undefined> {
  const failed = (message: string, hint: string): Finding => ({ aspect, outcome: 'failed', message, hint });
  const another = 'Name an empty folder with --to.';
  if (names.includes('postmaster.pid')) return failed(...(await runningWords(folder)));
  if (names.includes(unfinishedFile)) {
    const marked = (await readFile(join(folder, unfinishedFile), 'utf8')).trim();
    if (marked === systemIdentifier) return undefined;
    return failed(`${folder} holds an unfinished restore of another system, ${marked.slice(0, 20)}`, another);
  }
  if (!names.includes('PG_VERSION')) return failed(`${folder} holds files, but is no data directory`, another);
  const version = (await readFile(join(folder, 'PG_VERSION'), 'utf8')).trim();
  if (version !== String(major)) {
    return failed(
      `${folder} is a data directory of PostgreSQL ${version.slice(0, 10)}, the backup is of ${major}`,
      another,
    );
  }
  try {
    const control = readControlFile(await readFile(join(folder, controlFilePath)));
    if (String(control.systemIdentifier) === systemIdentifier) return undefined;
    return failed(`${folder} is a data directory of another system, ${control.systemIdentifier}`, another);
  } catch (error) {
    return failed(`whose data directory ${folder} is can't be told: ${messageOf(error)}`, another);
  }
}

/** A server in a container has a number that means nothing here: the file alone forbids. */
async function runningWords(folder: string): Promise<[string, string]> {
  const [line = ''] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n');
  const pid = Number(line.trim());
  if (Number.isInteger(pid) && pid > 1 && isAlive(pid)) {
    return [`a server runs on ${folder} (process ${pid})`, 'Stop it, or name another folder with --to.'];
  }
  return [
    `${folder} has a postmaster.pid: a server runs on it elsewhere (in a container, say), or it crashed`,
    'Make sure that no server runs on it, then remove that file.',
  ];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

async function tablespaceLinks(folder: string): Promise<Map<number, string>> {
  const links = new Map<number, string>();
  const names = await namesIn(join(folder, 'pg_tblspc'));
  for (const name of Array.isArray(names) ? names : []) {
    const target = /^\d+$/.test(name) ? await linkAt(join(folder, 'pg_tblspc', name)) : undefined;
    if (target !== undefined) links.set(Number(name), target);
  }
  return links;
}

async function linkAt(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Undefined if there is nothing of that name. */
export async function namesIn(folder: string): Promise<string[] | 'no folder' | undefined> {
  try {
    return (await stat(folder)).isDirectory() ? await readdir(folder) : 'no folder';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'ENOTDIR') return 'no folder';
    throw new AppError('TARGET_UNSAFE', `${folder} can't be looked at: ${messageOf(error)}`, {
      hint: 'Name another folder, or run as a user who may read it.',
      cause: error,
    });
  }
}
