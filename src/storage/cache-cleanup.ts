// Keeps the caches of all repositories small: those that nobody used for long go, and of the rest what was used least
// recently, until all fit. Copies only, so nothing is lost; a command that is reading one fetches it anew.
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import { storeErrorOfFile } from './file-errors.ts';
import { throwIfAborted } from './interruption.ts';

export interface CacheBounds {
  readonly ageMaxMs: number;
  readonly sizeMaxBytes: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Removes what exceeds the bounds below `folder` and touches nothing there that is not a cache. Tells how much it freed. */
export async function cleanCaches(folder: string, bounds: CacheBounds): Promise<{ readonly freedBytes: number }> {
  const oldestMs = bounds.clock.now() - bounds.ageMaxMs;
  const kept: CachedFile[] = [];
  let freedBytes = 0;
  try {
    for (const cache of await cachesIn(folder)) {
      throwIfAborted(bounds.signal);
      const files = await filesOf(cache.path);
      if (cache.usedMs >= oldestMs) kept.push(...files);
      else {
        await rm(cache.path, { recursive: true, force: true });
        freedBytes += totalBytes(files);
      }
    }
    for (const file of leastRecentlyUsed(kept, bounds.sizeMaxBytes)) {
      throwIfAborted(bounds.signal);
      await rm(file.path, { force: true });
      freedBytes += file.sizeBytes;
    }
  } catch (error) {
    throw storeErrorOfFile(error, `clean the cache ${folder}`);
  }
  return { freedBytes };
}

interface CachedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly usedMs: number;
}

/** The files to remove so that the others fit into `sizeMaxBytes`. */
function leastRecentlyUsed(files: readonly CachedFile[], sizeMaxBytes: number): CachedFile[] {
  let excessBytes = totalBytes(files) - sizeMaxBytes;
  const chosen: CachedFile[] = [];
  for (const file of files.toSorted((left, right) => left.usedMs - right.usedMs)) {
    if (excessBytes <= 0) break;
    chosen.push(file);
    excessBytes -= file.sizeBytes;
  }
  return chosen;
}

function totalBytes(files: readonly CachedFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** A cache is a folder named by a repository's id that holds a `version`. */
async function cachesIn(folder: string): Promise<{ path: string; usedMs: number }[]> {
  const caches: { path: string; usedMs: number }[] = [];
  for (const name of await orMissing(readdir(folder), [])) {
    const path = join(folder, name);
    const version = /^[0-9a-f]{64}$/.test(name)
      ? await orMissing(readFile(join(path, 'version')), undefined)
      : undefined;
    if (version !== undefined) caches.push({ path, usedMs: (await stat(path)).mtimeMs });
  }
  return caches;
}

async function filesOf(cache: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for (const type of ['index', 'snapshots', 'data']) {
    const entries = await orMissing(readdir(join(cache, type), { recursive: true, withFileTypes: true }), []);
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const found = await orMissing(stat(path), undefined);
      if (found !== undefined) files.push({ path, sizeBytes: found.size, usedMs: found.mtimeMs });
    }
  }
  return files;
}

/** Other processes clean up, too. */
async function orMissing<T, Otherwise>(answer: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
  try {
    return await answer;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return otherwise;
    throw error;
  }
}
