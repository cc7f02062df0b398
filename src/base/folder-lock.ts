// One process per folder. The kernel holds the lock, as SQLite takes it on a file of its own: it is gone with the process however
// that ends, so no lock is ever stale, and two that start at the same moment can't both believe to have it. A file with a
// process number could be left behind, and taking it over is a race. The number is written beside it for people.
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError, errnoOf } from './errors.ts';

const ownerFile = 'owner.txt';

export interface FolderLockOptions {
  /** `the spool`, for people. */
  readonly what: string;
  readonly hint: string;
  readonly sinceMs: number;
}

/** Rejects with `REPOSITORY_LOCKED` and who has it. */
export async function lockFolder(folder: string, { what, hint, sinceMs }: FolderLockOptions): Promise<Disposable> {
  const path = join(folder, 'lock.sqlite');
  // Made once and never opened but by SQLite: closing any handle of it would let go of the locks that this process has.
  await writeFile(path, '', { flag: 'wx', mode: 0o600 }).catch(ignoreExisting);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written to it, on a full disk either.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    const owner = await readFile(join(folder, ownerFile), 'utf8').catch(() => 'a process that is not known');
    throw new AppError('REPOSITORY_LOCKED', `${what} ${folder} is in use by ${owner.trim()}`, { hint, cause: error });
  }
  const owner = `process ${process.pid} on ${hostname()} since ${new Date(sinceMs).toISOString()}\n`;
  try {
    await writeFile(join(folder, ownerFile), owner, { mode: 0o600 });
  } catch {
    // On a full disk, say. It is for people alone.
  }
  return { [Symbol.dispose]: () => database.close() };
}

function ignoreExisting(error: unknown): void {
  if (errnoOf(error) !== 'EEXIST') throw error;
}

const sqliteBusy = 5;

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
}
