// Runs the real program as a user would: a process of its own, in a folder of its own, with an environment of its own. Or, where what
// is asked about is what a command says and does, the same program in this process: starting one costs half a second of a processor.
import { spawn, type ChildProcess } from 'node:child_process';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { programParts } from '../../src/app.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { Streams } from '../../src/cli/terminal.ts';
import { testPassword } from './repository.ts';

export const launcher = fileURLToPath(new URL('../../bin/lifeboat.js', import.meta.url));

export interface RunOptions {
  /** Working folder, and home. */
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Runs as another user. */
  readonly userId?: number;
  /** Told of the process once it runs. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Another copy of the program. */
  readonly program?: string;
}

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nothing of this machine's own settings reaches the program, except where its programs are. */
export function environmentIn(folder: string, own: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'UTC', LIFEBOAT_PASSWORD: testPassword, ...own };
}

export async function runLifeboat(args: readonly string[], options: RunOptions): Promise<Ran> {
  const { folder, environment, input = '', userId, onStart, program = launcher } = options;
  const child = spawn(process.execPath, [program, ...args], {
    cwd: folder,
    env: environmentIn(folder, environment),
    ...(userId !== undefined && { uid: userId, gid: userId }),
  });
  onStart?.(child);
  // A program that ends without reading its input is no failure of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', reject);
  child.on('close', (code, signal) => resolve(code ?? (signal === null ? -1 : -2)));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { exitCode, stdout, stderr };
}

/** In this process: for commands that nobody kills, and that are asked nothing of their own process. */
export async function runHere(
  args: readonly string[],
  { folder, environment, input = '' }: Pick<RunOptions, 'folder' | 'environment' | 'input'>,
): Promise<Ran> {
  const [stdin, stdout, stderr] = [Readable.from([Buffer.from(input)]), new PassThrough(), new PassThrough()];
  // What they lack is what only a terminal has.
  const streams = { stdin, stdout, stderr } as unknown as Streams;
  const variables = environmentIn(folder, environment);
  const home = variables['HOME'] ?? folder;
  const stopping = new AbortController();
  const parts = {
    version: '0.1.0',
    environment: { variables, workingFolder: folder, homeFolder: home },
    streams,
    signal: stopping.signal,
  };
  const interruption = {
    signal: stopping.signal,
    stop: (reason: Error) => stopping.abort(reason),
    [Symbol.dispose]: () => undefined,
  };
  const ended = runProgram(args, programParts(parts, interruption)).finally(() => {
    for (const stream of [stdout, stderr]) stream.end();
  });
  const [exitCode, said, told] = await Promise.all([ended, text(stdout), text(stderr)]);
  return { exitCode, stdout: said, stderr: told };
}

/** The lines of a long command's JSON output. */
export function jsonLines({ stdout }: Ran): { readonly message_type: string; readonly [field: string]: unknown }[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { message_type: string });
}
