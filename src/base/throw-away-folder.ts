// A folder for work that leaves nothing behind: removed when it is closed, by a watcher when this process is killed, and by the
// next one where both were (a machine that lost its power).
import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from './errors.ts';
import { isOwnerGone, recordOwner } from './folder-owner.ts';
import { watch, type Watcher } from './watcher.ts';

export interface ThrowAwayFolder extends AsyncDisposable {
  /** Holds a file `owner.json` besides. */
  readonly path: string;
  readonly guard: Watcher['guard'];
}

const namePattern = /^lifeboat-(?:postgres|redis|prove)-[A-Za-z0-9]{6}$/;

export async function makeThrowAwayFolder(
  parentFolder: string,
  purpose: 'postgres' | 'redis' | 'prove',
): Promise<ThrowAwayFolder> {
  for (const place of new Set([parentFolder, tmpdir(), '/dev/shm'])) await removeLeftOvers(place);
  const path = await mkdtemp(join(parentFolder, `lifeboat-${purpose}-`));
  try {
    recordOwner(path);
    const watcher = watch(path);
    return {
      path,
      guard: (child, signalName) => watcher.guard(child, signalName),
      async [Symbol.asyncDispose]() {
        try {
          await remove(path);
        } finally {
          await watcher[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    await remove(path);
    throw error;
  }
}

/** Those of ours whose makers are gone. Others' folders, and what can't be removed, are no concern of the work at hand. */
async function removeLeftOvers(parentFolder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(parentFolder);
  } catch {
    return; // Not there, or not ours to read: whoever works in it will say so.
  }
  for (const name of names.filter((one) => namePattern.test(one))) {
    const path = join(parentFolder, name);
    try {
      if (isOurs(path) && isOwnerGone(path)) await remove(path);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
}

/** The account that a server runs as where we are root. */
export const serverUserId = 65_534;

function isOurs(path: string): boolean {
  const stats = lstatSync(path);
  const userId = process.geteuid?.();
  return stats.isDirectory() && (stats.uid === userId || (userId === 0 && stats.uid === serverUserId));
}

async function remove(path: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 3 } as const;
  try {
    await rm(path, options);
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    // A folder that was restored write-protected keeps its owner from emptying it.
    openFolders(Buffer.from(path));
    await rm(path, options);
  }
}

function openFolders(path: Buffer): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' }))
    if (entry.isDirectory()) openFolders(Buffer.concat([path, Buffer.from('/'), entry.name]));
}
