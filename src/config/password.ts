// The password of a repository: from the strongest place that gives one, a file read as restic reads it.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';
import type { GlobalOptions, OptionOrigin } from './options.ts';

const strength: Readonly<Record<OptionOrigin, number>> = { flag: 3, environment: 2, config: 1, default: 0 };

/** Flag before variable before lifeboat.yaml; where both a password and a file are given at one place, the file. */
export async function repositoryPassword(
  values: Pick<GlobalOptions, 'password' | 'passwordFile'>,
  origins: Readonly<Record<'password' | 'passwordFile', OptionOrigin>>,
  workingFolder: string,
): Promise<string> {
  const isFile = strength[origins.passwordFile] >= strength[origins.password];
  if (isFile && values.passwordFile !== undefined) return readPassword(resolve(workingFolder, values.passwordFile));
  if (values.password !== undefined) return values.password;
  throw new AppError('PASSWORD_MISSING', 'no password was given for the repository', {
    hint: 'Set LIFEBOAT_PASSWORD, name a file with --password-file, or give passwordFile in lifeboat.yaml.',
  });
}

export async function readPassword(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new AppError(
      'PASSWORD_MISSING',
      `cannot read the password file ${path}: ${errnoOf(error) ?? 'unknown error'}`,
      {
        hint: 'Make it a file that this user may read.',
        cause: error,
      },
    );
  }
  // White space around it and a byte order mark are no part of it, as in restic.
  const password = text.trim();
  if (password !== '') return password;
  throw new AppError('PASSWORD_MISSING', `the password file ${path} is empty`, { hint: 'Write the password into it.' });
}
