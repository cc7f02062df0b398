// Runs one command of a program under GNU time: wall and CPU seconds, peak memory.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Measurement {
  readonly wallSeconds: number;
  /** From the end of the command until what it wrote was on the disk: some wait for that themselves, others leave it to chance. */
  readonly syncSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Throws if the command fails: a failed run measures nothing. Begins with nothing left to write of whoever was measured before. */
export function measure({ program, args, environment }: Command): Measurement {
  spawnSync('sync');
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bench-'));
  const report = join(folder, 'time');
  try {
    const run = spawnSync('/usr/bin/time', ['-o', report, '-f', '%e %U %S %M', program, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    if (run.status !== 0)
      throw new Error(`${program} ${args.join(' ')} ended with ${run.status}: ${run.stderr.slice(-2000)}`);
    const endedMs = performance.now();
    spawnSync('sync');
    const syncSeconds = (performance.now() - endedMs) / 1000;
    const [wall = 0, user = 0, system = 0, memory = 0] = readFileSync(report, 'utf8').trim().split(/\s+/).map(Number);
    return { wallSeconds: wall, syncSeconds, cpuSeconds: user + system, memoryMiB: memory / 1024 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads all files below a folder, so that every contender finds them in memory. */
export function warm(folder: string): void {
  spawnSync('sh', ['-c', 'find "$1" -type f -print0 | xargs -0 cat > /dev/null', 'sh', folder]);
}

export function sizeMiB(folder: string): number {
  const { stdout } = spawnSync('du', ['-s', '--block-size=1024', folder], { encoding: 'utf8' });
  return Number(stdout.split('\t')[0]) / 1024;
}
