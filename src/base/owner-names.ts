// Names of user and group numbers, asked once per number: a walk over 100 000 files meets a handful of owners.
import { readFileSync } from 'node:fs';
import { errnoOf } from './errors.ts';
import { nameFromBytes } from './byte-name.ts';
import { native } from './native.ts';

/** Keeps what it learnt; make a new one for each walk, so that a long-lived process notices renamed users. */
export class OwnerNames {
  readonly #users = new Map<number, string>();
  readonly #groups = new Map<number, string>();

  /** Empty if the number has no name on this machine. */
  user(uid: number): string {
    return this.#users.getOrInsertComputed(uid, () => {
      const calls = native();
      return (calls === undefined ? nameInFile('/etc/passwd', uid) : calls.userName(uid)) ?? '';
    });
  }

  /** As `user`, of groups. */
  group(gid: number): string {
    return this.#groups.getOrInsertComputed(gid, () => {
      const calls = native();
      return (calls === undefined ? nameInFile('/etc/group', gid) : calls.groupName(gid)) ?? '';
    });
  }
}

/** Without the name service: the first line `name:password:number:…` of that number. Users of a directory are missed. */
function nameInFile(path: string, id: number): string | undefined {
  try {
    for (const line of nameFromBytes(readFileSync(path)).split('\n')) {
      const [name, , number] = line.split(':');
      if (number === String(id)) return name;
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
  return undefined;
}
