// The programs that this process runs at the moment, as the kernel lists them (Linux).
import { readdirSync, readFileSync } from 'node:fs';

export interface ChildProcessSeen {
  readonly pid: number;
  readonly arguments: readonly string[];
}

/** Direct and indirect children whose program's path ends in `name`. */
export function childProcesses(name: string): ChildProcessSeen[] {
  return descendants(process.pid)
    .map((pid) => ({ pid, arguments: argumentsOf(pid) }))
    .filter((child) => (child.arguments[0] ?? '').endsWith(name));
}

function descendants(parent: number): number[] {
  const children = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
  return children.flatMap((pid) => [pid, ...descendants(pid)]);
}

function parentOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // It ended meanwhile.
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
