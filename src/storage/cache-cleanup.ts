// Removes the caches of repositories that nobody used for long: they would lie there for ever. Copies only, so nothing is lost; a
// command that is reading one fetches it anew.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';

/** As with restic. */
const unusedMaxMs = 30 * 86_400_000;

/** Touches nothing below `folder` that is not a cache: a folder named by a repository's id that holds a `version`. */
export async function removeUnusedCaches(folder: string, clock: Clock): Promise<void> {
  const oldestMs = clock.now() - unusedMaxMs;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (/^[0-9a-f]{64}$/.test(name) && (await lastUseOf(path)) < oldestMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** Whoever opens a cache touches its folder. What is no cache, or went away, counts as used for ever. */
async function lastUseOf(cache: string): Promise<number> {
  try {
    await stat(join(cache, 'version'));
    return (await stat(cache)).mtimeMs;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return Infinity;
    throw error;
  }
}
