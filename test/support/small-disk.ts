// A file system of a few megabytes of its own, in memory: to fill, and to find full. Only root can have one.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { isRoot } from './unprivileged.ts';

export interface SmallDisk extends Disposable {
  readonly path: string;
}

/** The folder is made. */
export function mountSmallDisk(path: string, options: string): SmallDisk {
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'lifeboat-test', path]);
  return { path, [Symbol.dispose]: () => void execFileSync('umount', [path]) };
}

/** Containers may lack the right to mount. */
export const canMount = isRoot && mounts();

function mounts(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'lifeboat-test', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
