// A program run for a probe: its output bounded, its environment bare, and it and whatever it started ended when time is up.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { errnoOf } from '../../base/errors.ts';
import { programEnvironment } from '../../base/program-environment.ts';

export interface RunRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Folders of the PATH. */
  readonly programFolders: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export interface ProgramEnd {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signalName: string | undefined;
  /** Standard output, as much as is kept. */
  readonly output: string;
}

const outputMaxBytes = 64 * 1024;
const drainMaxMs = 100;

/** Rejects with the signal's reason once all is ended, or with Node's error if the program can't be started. */
export async function runBounded(request: RunRequest, signal: AbortSignal): Promise<ProgramEnd> {
  signal.throwIfAborted();
  const child = spawn(request.program, [...request.args], {
    env: programEnvironment(request.programFolders, request.environment),
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true, // A group of its own, so that all of it can be ended.
  });
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  child.stdout.on('data', (piece: Buffer) => {
    // Read on, or it would wait for a reader for ever.
    if (sizeBytes < outputMaxBytes) pieces.push(piece.subarray(0, outputMaxBytes - sizeBytes));
    sizeBytes += piece.length;
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<Omit<ProgramEnd, 'output'>>();
  child.once('error', reject);
  // Not `close`: what it left in the background may hold its output open.
  child.once('exit', (code, name) => resolve({ exitCode: code ?? undefined, signalName: name ?? undefined }));
  const stop = (): void => killGroup(child.pid);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const end = await ended;
    await drained(child.stdout);
    signal.throwIfAborted();
    return { ...end, output: Buffer.concat(pieces).toString('utf8') };
  } finally {
    signal.removeEventListener('abort', stop);
    killGroup(child.pid); // What it started must not go on.
    child.stdout.destroy();
  }
}

/** At once: it only looks at things, and we may be about to end ourselves. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It is gone, as it should be, or has become another user, whom we can't end.
    if (!['ESRCH', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** What was written before the end may still be in the pipe. */
async function drained(stream: Readable): Promise<void> {
  if (stream.readableEnded) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('end', resolve);
  const timer = setTimeout(resolve, drainMaxMs);
  await promise;
  clearTimeout(timer);
}
