// The certificates to trust, where settings name a file.
import { readFile } from 'node:fs/promises';
import { AppError, errnoOf } from '../base/errors.ts';

export async function certificatesIn(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = errnoOf(error) ?? 'unknown error';
    throw new AppError('CONFIG_INVALID', `cannot read the certificates in ${path}: ${reason}`, {
      hint: 'Name a file that this user may read as ca.',
      cause: error,
    });
  }
}
