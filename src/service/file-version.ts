// A text that changes whenever a file does, without a look into it.
import { stat } from 'node:fs/promises';
import { errnoOf } from '../base/errors.ts';

/** Undefined where there is none. */
export async function fileVersion(path: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of several files, in their order. */
export async function filesVersion(paths: readonly string[]): Promise<string> {
  return JSON.stringify(await Promise.all(paths.map(async (path) => [path, await fileVersion(path)])));
}
