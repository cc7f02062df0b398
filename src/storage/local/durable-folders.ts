// Folders that survive a power cut: a new one counts only once the folder that holds its name has been synced.
import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
import { syncFolder } from '../atomic-write.ts';

export interface DurableFolders {
  /** Makes the folder and what leads to it where missing. `mode` is that of new ones. */
  prepare(folder: string, mode: number): Promise<void>;
  /** Forgets what was prepared, because somebody removes folders behind our back. */
  forget(): void;
}

/** A repository has about 260 folders; beyond this many the memory of them starts afresh. */
const rememberedMax = 4096;

/**
 * Folders at and below `root`. Each is synced once per process, whoever made it: its maker may not have come so far. `mayMake` rejects
 * where none is to be made.
 */
export function durableFolders(root: string, mayMake: () => Promise<void>): DurableFolders {
  const prepared = new Map<string, Promise<void>>();

  async function make(folder: string, mode: number): Promise<void> {
    await mayMake();
    if (folder === root) {
      const first = await mkdir(root, { recursive: true, mode });
      for (let made = root; ; made = dirname(made)) {
        await syncNameOf(made);
        if (first === undefined || made === first || made === dirname(made)) return;
      }
    }
    await prepare(dirname(folder), mode);
    try {
      await mkdir(folder, { mode });
      // Group bits are asked for explicitly, so the umask has no say in them.
      if ((mode & 0o070) !== 0) await chmod(folder, mode);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    await syncNameOf(folder);
  }

  async function prepare(folder: string, mode: number): Promise<void> {
    if (prepared.size >= rememberedMax) prepared.clear();
    let making = prepared.get(folder);
    if (making === undefined) {
      making = make(folder, mode);
      prepared.set(folder, making);
    }
    try {
      await making;
    } catch (error) {
      prepared.delete(folder);
      throw error;
    }
  }

  return { prepare, forget: () => prepared.clear() };
}

/** The root's own parent may be closed to us (`/srv` with x only); then the root was made by someone with more rights. */
async function syncNameOf(folder: string): Promise<void> {
  try {
    await syncFolder(dirname(folder));
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
}
