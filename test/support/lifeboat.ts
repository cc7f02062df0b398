// Runs the real program as a user would: a process of its own, in a folder of its own, with an environment of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
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

/** The lines of a long command's JSON output. */
export function jsonLines({ stdout }: Ran): { readonly message_type: string; readonly [field: string]: unknown }[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { message_type: string });
}
