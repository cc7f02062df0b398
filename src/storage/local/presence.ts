// Whether a repository that was there still is. A disk that is not mounted any more leaves an empty folder or none: what is written
// there vanishes when the disk comes back, and "nothing is kept" would be taken for the truth.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../../base/errors.ts';

export interface Presence {
  /** Its `config` was seen. */
  note(): void;
  /** Rejects with `STORE_UNREACHABLE` if it was there and is gone. Asked wherever something is missing or made. */
  check(): Promise<void>;
}

export function presenceOf(root: string): Presence {
  let wasThere = false;
  return {
    note: () => void (wasThere = true),
    async check() {
      if (!wasThere || (await isThere(join(root, 'config')))) return;
      throw new AppError('STORE_UNREACHABLE', `the repository in ${root} is not there any more`, {
        hint: 'Mount its disk again, or put the folder back; nothing was written in its place.',
      });
    },
  };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
