// `lifeboat server` as a process of its own, in the folder of its lifeboat.yaml, with what it says.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { environmentIn, launcher } from './lifeboat.ts';

export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  said(): string;
}

/** Resolves when it is ready, or has ended. Killed at the end, if it still runs. */
export async function startServerProcess(folder: string, ...args: readonly string[]): Promise<ServerProcess> {
  return startServerWith({ folder, environment: {} }, ...args);
}

/** The same, with variables of its own. */
export async function startServerWith(place: ProcessPlace, ...args: readonly string[]): Promise<ServerProcess> {
  return startUntil('answers at', place, ['server', '--listen', '0', ...args]);
}

/** `lifeboat worker`. */
export async function startWorkerWith(place: ProcessPlace, ...args: readonly string[]): Promise<ServerProcess> {
  return startUntil('worker is ready', place, ['worker', ...args]);
}

interface ProcessPlace {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function startUntil(
  words: string,
  { folder, environment }: ProcessPlace,
  args: readonly string[],
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    env: environmentIn(folder, environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await eventually(() => text.includes(words) || child.exitCode !== null);
  return {
    child,
    exited,
    said: () => text,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

const patienceMs = 120_000;

export async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startMs > patienceMs) throw new Error(`it never comes to that: ${isSo.toString()}`);
    await sleep(100);
  }
}
