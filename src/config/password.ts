// The password of a repository: which place gives it, and a file read as restic reads it.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { AppError, errnoOf } from '../base/errors.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import type { GlobalOptions, OptionOrigin } from './options.ts';

export type PasswordSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'text'; readonly password: string };

export interface GivenPassword {
  readonly values: Pick<GlobalOptions, 'password' | 'passwordFile'>;
  readonly origins: Readonly<Record<'passwordFile', OptionOrigin>>;
  /** The command is about this repository and no other. */
  readonly isOnlyOne: boolean;
  readonly workingFolder: string;
}

/**
 * Where a repository's password comes from, strongest first: the flag, if this one repository is meant; what
 * lifeboat.yaml says of this very repository; the flag for all that say nothing; the variables, of which the file comes
 * first. Undefined if nothing gives one.
 */
export function passwordSource(
  own: Pick<RepositorySettings, 'password' | 'passwordFile'>,
  { values, origins, isOnlyOne, workingFolder }: GivenPassword,
): PasswordSource | undefined {
  const fileAt = (path: string): PasswordSource => ({ kind: 'file', path: resolve(workingFolder, path) });
  const given = values.passwordFile === undefined ? undefined : fileAt(values.passwordFile);
  if (given !== undefined && origins.passwordFile === 'flag' && isOnlyOne) return given;
  if (own.passwordFile !== undefined) return fileAt(own.passwordFile);
  if (own.password !== undefined) return { kind: 'text', password: own.password };
  if (given !== undefined) return given;
  return values.password === undefined ? undefined : { kind: 'text', password: values.password };
}

export async function passwordFrom(source: PasswordSource): Promise<string> {
  return source.kind === 'file' ? readPassword(source.path) : source.password;
}

export function passwordMissing(): AppError {
  return new AppError('PASSWORD_MISSING', 'no password was given for the repository', {
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
  return passwordIn(text, `the password file ${path}`);
}

/** From a program that writes it there. */
export async function readPasswordFrom(input: Readable): Promise<string> {
  return passwordIn(await textOf(input), 'standard input');
}

function passwordIn(text: string, place: string): string {
  // White space around it and a byte order mark are no part of it, as in restic.
  const password = text.trim();
  if (password !== '') return password;
  throw new AppError('PASSWORD_MISSING', `${place} is empty`, { hint: 'Write the password into it.' });
}
