// Processes of this machine that have to do with a folder: they work in it or were told of it (Linux).
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter(
      (pid) => read(() => readlinkSync(`/proc/${pid}/cwd`)).startsWith(folder) || argumentsOf(pid).includes(folder),
    )
    .map(Number);
}

const argumentsOf = (pid: string): string => read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));

function read(act: () => string): string {
  try {
    return act();
  } catch {
    return ''; // It ended meanwhile, or is not ours to look at.
  }
}
