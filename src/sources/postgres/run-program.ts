// Runs pg_dump and its relatives: output with back-pressure, exit status checked, password in the environment and never in
// argv, and nothing left running when the reader stops early.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { AppError, messageOf } from '../../base/errors.ts';
import type { ServerAddress } from './server-address.ts';
import type { ClientProgram } from './logical/programs.ts';

export interface ProgramRun {
  readonly folder: string;
  readonly program: ClientProgram;
  readonly arguments: readonly string[];
  readonly address: ServerAddress;
  /** An open file that the program finds as `/dev/fd/3`. */
  readonly fileDescriptor?: number | undefined;
}

/** A program that did not end well, with its own words. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  readonly stderr: string;

  constructor(message: string, stderr: string) {
    super(message);
    this.stderr = stderr;
  }
}

/** `dbname='…'`: a bare name would be read as a connection string where it looks like one. */
export function connectionString(database: string): string {
  return `dbname='${database.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

/** What the program writes to stdout. Rejects with a `ProgramError` after the last byte if it did not exit with 0. */
export async function* programOutput(run: ProgramRun, signal: AbortSignal): AsyncGenerator<Buffer> {
  using started = start(run, signal);
  try {
    for await (const chunk of started.child.stdout) yield chunk as Buffer;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  await started.succeeded();
}

/** Feeds the program's stdin. Rejects with the input's own error, or a `ProgramError`. */
export async function feedProgram(
  run: ProgramRun,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  using started = start(run, signal);
  const { stdin } = started.child;
  for await (const chunk of input) {
    if (!stdin.writable) break; // It ended or broke off: its exit status says how.
    if (!stdin.write(chunk)) await writable(stdin);
  }
  stdin.end();
  await started.succeeded();
}

/** Until more may be written, or never again. */
function writable(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, done);
  });
}

interface Started extends Disposable {
  readonly child: ChildProcessWithoutNullStreams;
  succeeded(): Promise<void>;
}

interface Ending {
  readonly code: number | null;
  readonly signalName: NodeJS.Signals | null;
  readonly error: Error | undefined;
}

const killPatienceMs = 5_000;

function start(run: ProgramRun, signal: AbortSignal): Started {
  signal.throwIfAborted();
  const service = openService(run.address);
  const child = spawn(join(run.folder, run.program), run.arguments, {
    env: environmentOf(run.address),
    stdio: ['pipe', 'pipe', 'pipe', run.fileDescriptor ?? 'ignore', service ?? 'ignore'],
  }) as ChildProcessWithoutNullStreams; // The types know no fourth one.
  if (service !== undefined) closeSync(service);
  child.stdin.on('error', () => undefined); // EPIPE: the exit status says why.
  if (run.program === 'pg_restore') child.stdout.resume();
  else child.stdin.end();
  const messages = collectMessages(child, run.address.password);
  const ended = new Promise<Ending>((resolve) => {
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
      if (child.pid === undefined) resolve({ code: null, signalName: null, error });
    });
    child.once('close', (code, signalName) => resolve({ code, signalName, error: failure }));
  });
  const stop = (): void => {
    stopChild(child);
    child.stdout.destroy(); // Whoever should have read on is gone; unread bytes would keep the pipe open.
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    child,
    async succeeded() {
      const { code, signalName, error } = await ended;
      signal.throwIfAborted();
      if (code === 0 && error === undefined) return;
      const how = error === undefined ? describeEnding(code, signalName) : messageOf(error);
      throw new ProgramError(`${run.program} ${how}`, messages());
    },
    [Symbol.dispose]() {
      signal.removeEventListener('abort', stop);
      stop();
    },
  };
}

function describeEnding(code: number | null, signalName: string | null): string {
  return signalName === null ? `exited with ${code ?? 'nothing'}` : `was killed by ${signalName}`;
}

/** Asks it to end (pg_dump then cancels its query), then insists. */
function stopChild(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), killPatienceMs);
  child.once('exit', () => clearTimeout(insist));
}

/** Nothing of our own environment is handed on: it may hold secrets and settings that lead elsewhere. */
function environmentOf({ host, port, user, password, ssl }: ServerAddress): NodeJS.ProcessEnv {
  return {
    LC_ALL: 'C',
    PATH: '/usr/bin:/bin',
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGAPPNAME: 'lifeboat',
    PGCONNECT_TIMEOUT: '15',
    PGSSLMODE: ssl.mode,
    ...('rootCertificateFile' in ssl ? { PGSSLROOTCERT: ssl.rootCertificateFile } : {}),
    ...(ssl.client === undefined ? {} : { PGSSLCERT: ssl.client.certificateFile, PGSSLKEY: ssl.client.keyFile }),
    ...(ssl.negotiation === undefined ? {} : { PGSSLNEGOTIATION: ssl.negotiation }),
    ...(ssl.client?.keyPassword === undefined ? {} : keyPasswordService),
    ...(password === undefined ? {} : { PGPASSWORD: password }),
  };
}

/** No variable takes the password of a key: it stands in a service file that has no name any more when the program starts. */
const keyPasswordService = { PGSERVICEFILE: '/dev/fd/4', PGSERVICE: 'lifeboat' };

function openService({ ssl }: ServerAddress): number | undefined {
  const { keyPassword } = ssl.client ?? {};
  if (keyPassword === undefined) return undefined;
  const path = join(tmpdir(), `.lifeboat-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  // Not at its own position: where /dev/fd is the same open file, the program would read on from the end.
  writeSync(file, `[${keyPasswordService.PGSERVICE}]\nsslpassword=${keyPassword}\n`, 0);
  return file;
}

/** The first lines tell the cause, the last ones the end; a flood in between is dropped. */
function collectMessages(child: ChildProcess, password: string | undefined): () => string {
  const keptMax = 2_000;
  let first = '';
  let last = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const room = keptMax - first.length;
    first += text.slice(0, room);
    last = (last + text.slice(Math.max(0, room))).slice(-keptMax);
  });
  return () => {
    // Continued lines begin with a tab.
    const text = `${first}${last}`.trim().split(/\n\s*/).join('; ').replaceAll('\t', ' ');
    return password === undefined || password === '' ? text : text.replaceAll(password, '***');
  };
}

/** For people, from whatever a run rejected with. */
export function programFailure(
  error: unknown,
  { what, code }: { readonly what: string; readonly code: 'SOURCE_FAILED' | 'RESTORE_FAILED' },
): unknown {
  if (!(error instanceof ProgramError)) return error;
  const hint =
    hints.find(([pattern]) => pattern.test(error.stderr))?.[1] ?? 'Read what the program and the server log say.';
  return new AppError(code, `${what}: ${error.message}: ${error.stderr || 'it said nothing'}`, { hint, cause: error });
}

const hints: readonly (readonly [RegExp, string])[] = [
  [/permission denied/, 'Grant the role what the message names; `check` lists the statements.'],
  [/row-level security|row security/, 'Use a role with BYPASSRLS, or the owner of the tables.'],
  [/lock timeout|could not obtain lock/, 'A schema change waited behind the backup: try again when it is over.'],
  [/version mismatch/, 'Install the postgresql-client package of the server version.'],
  [/No space left|disk full/i, 'Free space on the server.'],
  [
    /terminating connection|server closed the connection|connection to server/,
    'The connection to the server broke: try again.',
  ],
];
