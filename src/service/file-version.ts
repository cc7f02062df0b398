// A text that changes whenever a file does, without a look into it.
import { stat } from 'node:fs/promises';
import { errnoOf } from '../base/errors.ts';

/**
 * Undefined where there is none. One that can't be looked at (ELOOP, a path too long) has its fault as its version: whoever looks at
 * several goes on with the others, and sees when that changes.
 */
export async function fileVersion(path: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    const fault = errnoOf(error);
    if (fault === undefined) throw error;
    return fault === 'ENOENT' || fault === 'ENOTDIR' ? undefined : fault;
  }
}

/** Of several files, in their order. */
export async function filesVersion(paths: readonly string[]): Promise<string> {
  return JSON.stringify(await Promise.all(paths.map(async (path) => [path, await fileVersion(path)])));
}
