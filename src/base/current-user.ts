// Who runs this process. A container is often started under a number that no user has (`docker run --user 12345`,
// OpenShift); `os.userInfo` then throws, and a backup must not fail for want of a name.
import { userInfo } from 'node:os';
import { errnoOf } from './errors.ts';

export interface CurrentUser {
  /** Empty if the number has no name on this machine. */
  readonly username: string;
  /** 0 where the system has no such numbers. */
  readonly uid: number;
  readonly gid: number;
}

export function currentUser(): CurrentUser {
  const numbers = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  try {
    return { ...numbers, username: userInfo().username };
  } catch (error) {
    if (errnoOf(error) !== 'ERR_SYSTEM_ERROR') throw error;
    return { ...numbers, username: '' };
  }
}
