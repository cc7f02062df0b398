// A folder that a proof restores into and that goes away again, whatever modes its content was given.
import { join } from 'node:path';
import { AppError, messageOf } from '../../base/errors.ts';
import { makeThrowAwayFolder } from '../../base/throw-away-folder.ts';

/** `path` is not there yet. */
export async function throwAwayFolder(workFolder: string): Promise<AsyncDisposable & { readonly path: string }> {
  try {
    const folder = await makeThrowAwayFolder(workFolder, 'prove');
    return { path: join(folder.path, 'tree'), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
  } catch (error) {
    throw new AppError('INCONCLUSIVE', `no folder could be made to restore into: ${messageOf(error)}`, {
      hint: 'Name a working folder that can be written and has room.',
      cause: error,
    });
  }
}
