// Where lifeboat.yaml is: named, here, or in a folder above within the same git repository.
import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';

const fileName = 'lifeboat.yaml';

/**
 * Path of the configuration file, or undefined if none was named and none is there. Folders above count only inside a
 * git repository: a file that someone left in a shared folder such as /tmp must not decide over backups.
 */
export async function findConfiguration(options: {
  /** From `--config` or LIFEBOAT_CONFIG. */
  readonly named: string | undefined;
  readonly workingFolder: string;
  /** Texts that count in place of files. */
  readonly configurations?: ReadonlyMap<string, string> | undefined;
}): Promise<string | undefined> {
  const { named, workingFolder, configurations } = options;
  if (named !== undefined) {
    const path = resolve(workingFolder, named);
    if (configurations?.has(path) === true || (await isThere(path))) return path;
    throw new AppError('CONFIG_MISSING', `there is no configuration file at ${path}`, {
      hint: "Correct --config or LIFEBOAT_CONFIG, or write a new file with 'lifeboat init'.",
    });
  }
  for (const folder of await foldersToSearch(workingFolder)) {
    const path = join(folder, fileName);
    if (!(await isThere(path))) continue;
    if (folder !== resolve(workingFolder)) await refuseForeign(path, workingFolder);
    return path;
  }
  return undefined;
}

/** Anybody may make a git repository in /tmp: a file above must belong to us, to root, or to whose folder we are in. */
async function refuseForeign(path: string, workingFolder: string): Promise<void> {
  const trusted = [process.geteuid?.(), 0, (await stat(workingFolder)).uid];
  const { uid } = await stat(path);
  if (process.geteuid === undefined || trusted.includes(uid)) return;
  throw new AppError('CONFIG_INVALID', `${path} belongs to another user (${uid})`, {
    hint: `Name it with --config ${path} if you trust it, or write one here with 'lifeboat init'.`,
  });
}

async function foldersToSearch(workingFolder: string): Promise<string[]> {
  const folders: string[] = [];
  for (let folder = resolve(workingFolder); ; folder = dirname(folder)) {
    folders.push(folder);
    if (await isThere(join(folder, '.git'))) return folders;
    if (dirname(folder) === folder) return folders.slice(0, 1);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw new AppError('CONFIG_MISSING', `cannot look for ${path}: ${errnoOf(error) ?? 'unknown error'}`, {
      hint: 'Give this user the right to enter the folder, or name the file with --config.',
      cause: error,
    });
  }
}
