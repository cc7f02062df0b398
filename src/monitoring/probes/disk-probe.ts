// Space and inodes on the file system of a path, as they are left to who is not root.
import { statfs } from 'node:fs/promises';
import { formatByteSize } from '../../base/byte-size.ts';
import { errnoOf } from '../../base/errors.ts';
import type { ProbeOf, Room } from '../../model/probe.ts';
import { conclude, degraded, down, unknown, type Look, type Problem } from './look.ts';

const hint = 'Make room, or enlarge the file system.';

export interface FileSystemRoom {
  readonly sizeBytes: number;
  readonly freeBytes: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

export async function probeDisk(settings: ProbeOf<'disk'>): Promise<Look> {
  try {
    const { bsize, blocks, bavail, files, ffree } = await statfs(settings.path);
    const room = { sizeBytes: bsize * blocks, freeBytes: bsize * bavail, inodes: files, freeInodes: ffree };
    return judgeRoom(room, settings);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const problem = code === 'ENOENT' ? down : unknown;
    return conclude('', [problem(`cannot look at ${settings.path} (${code})`, 'Check the path, and who may see it.')]);
  }
}

export function judgeRoom(room: FileSystemRoom, settings: ProbeOf<'disk'>): Look {
  const { sizeBytes, freeBytes, inodes, freeInodes } = room;
  const percent = (part: number, whole: number): number => (whole === 0 ? 100 : Math.floor((part / whole) * 1000) / 10);
  const free = `${formatByteSize(freeBytes)} free (${percent(freeBytes, sizeBytes)} %)`;
  const left = `${percent(freeInodes, inodes)} % of the inodes free`;
  const space = levelOf(free, isLess(room, settings.min), isLess(room, settings.warn));
  // Some file systems make inodes as they need them, and count none.
  const inodeShare = inodes === 0 ? 1 : freeInodes / inodes;
  const nodes = levelOf(left, inodeShare < settings.inodesMin, inodeShare < settings.inodesWarn);
  return conclude(free, [...space, ...nodes], { sizeBytes, freeBytes, inodes, freeInodes });
}

function levelOf(message: string, isDown: boolean, isDegraded: boolean): Problem[] {
  if (isDown) return [down(message, hint)];
  return isDegraded ? [degraded(message, hint)] : [];
}

function isLess({ freeBytes, sizeBytes }: FileSystemRoom, { share, sizeBytes: least }: Room): boolean {
  return share === undefined ? freeBytes < (least ?? 0) : freeBytes < share * sizeBytes;
}
