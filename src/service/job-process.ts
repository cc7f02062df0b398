// A job of the service: a command line of Lifeboat in a process of its own, so that its memory, its crash and its end are its own. What it
// prints as JSON lines is told as it comes; how it ended is returned.
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError, errnoOf, isErrorCode } from '../base/errors.ts';

/** How Lifeboat's own command line is started. */
export interface Launcher {
  readonly launcherPath: string;
  readonly workingFolder: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Texts by path of the configuration files that are among the words of a command line, and of their templates: they count in place of what lies there. */
  readonly configurations?: ((args: readonly string[]) => Readonly<Record<string, string>>) | undefined;
  /** How long a job stays with a worker that is not heard of, if not as long as usual. */
  readonly leaseMs?: number | undefined;
}

export interface JobCommand extends Launcher {
  /** Without the program: `['backup', 'database']`; `--json` is added. */
  readonly args: readonly string[];
}

export interface JobEvents {
  /** A line that stays. */
  readonly onNote: (text: string) => void;
  /** How far it is; at most one a second. */
  readonly onStatus: (status: Readonly<Record<string, unknown>>) => void;
}

export interface JobOutcome {
  readonly exitCode: number;
  /** What the command returned; undefined where it failed before. */
  readonly summary: Readonly<Record<string, unknown>> | undefined;
}

/** Longer than a machine may be busy with other things, and than a job takes to end when it must. */
export const leaseDefaultMs = 60_000;
/** Of the lease: between two words to the child. */
const wordShare = 1 / 30;
/** Without one for so long the child ends itself. */
const silenceShare = 1 / 3;
/** Where it was asked to end. */
const graceShare = 1 / 5;
/** What nobody waits for: it gives way to the application on this machine, and to those who ask the server. */
const backgroundCommands = new Set(['backup', 'copy', 'prove', 'retention', 'verify']);
/** As `nice` counts: of a processor that both want, others get three quarters, so that a promised RPO can still be kept. */
const backgroundPriority = 5;
/** For threads that are made meanwhile. */
const looksMax = 10;
const sessionTriesMax = 20;
const sessionPauseMs = 150;
const documentMaxLength = 16 << 20;
const errorTextMax = 4000;

const errorLine = z.object({
  message_type: z.literal('error'),
  code: z.string(),
  message: z.string(),
  hint: z.string().default(''),
  exitCode: z.number(),
});

/**
 * Rejects with the `AppError` that the command ended with if it returned nothing; with the signal's reason after the process, and
 * whatever it had started, has ended.
 */
export async function runJob(command: JobCommand, events: JobEvents, signal: AbortSignal): Promise<JobOutcome> {
  signal.throwIfAborted();
  const { launcherPath, args, workingFolder, variables, leaseMs = leaseDefaultMs } = command;
  const child = fork(launcherPath, [...args, '--json'], {
    cwd: workingFolder,
    env: { ...variables, LIFEBOAT_TETHER_MS: String(Math.round(leaseMs * silenceShare)) },
    execArgv: ['--max-semi-space-size=4'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own: Ctrl-C at the server is not meant for it, and what it starts can be ended with it.
    detached: true,
  });
  if (backgroundCommands.has(args[0] ?? '')) giveWay(child);
  // The first thing it is told: of the files that it is to read, and of no others.
  child.send({ configurations: command.configurations?.(args) ?? {} }, () => undefined);
  const { stdout, stderr } = child;
  assert.ok(stdout !== null && stderr !== null);
  const exited = exitOf(child);
  const words = setInterval(() => {
    if (!signal.aborted && child.connected) child.send('go on', () => undefined);
  }, leaseMs * wordShare);
  const end = (): void => endGently(child, { exited, graceMs: leaseMs * graceShare });
  signal.addEventListener('abort', end, { once: true });
  try {
    const [lines, errorText] = await Promise.all([readLines(stdout, events), readText(stderr)]);
    const exitCode = await exited;
    signal.throwIfAborted();
    if (lines.error !== undefined) throw lines.error;
    if (lines.summary === undefined) throw endedWithout(args, exitCode, errorText);
    return { exitCode: exitCode ?? 1, summary: lines.summary };
  } finally {
    clearInterval(words);
    signal.removeEventListener('abort', end);
    if (child.connected) child.disconnect();
  }
}

/**
 * Linux has a priority for each thread: new ones take after the thread that makes them, so it is enough when all have it that there are.
 * Where it shares the processor out among sessions first (sched(7), autogroups), that of a thread counts within its session alone, and the
 * session has one of its own.
 */
function giveWay(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined || getPriority() >= backgroundPriority) return;
  try {
    setPriority(pid, backgroundPriority);
    if (process.platform !== 'linux') return;
    for (let looks = 0; looks < looksMax; looks += 1) {
      const threads = readdirSync(`/proc/${pid}/task`).map(Number);
      const others = threads.filter((thread) => getPriority(thread) !== backgroundPriority);
      if (others.length === 0) break;
      for (const thread of others) setPriority(thread, backgroundPriority);
    }
  } catch {
    // It ended at this moment, or this is not allowed here: it goes on as it is.
  }
  if (process.platform === 'linux') lowerSession(child, sessionTriesMax);
}

/** Whoever is not root may do so once in 100 ms, and at two o'clock several jobs begin at once. */
function lowerSession(child: ChildProcess, triesLeft: number): void {
  const path = `/proc/${child.pid}/autogroup`;
  if (child.exitCode !== null || child.signalCode !== null || !existsSync(path)) return;
  try {
    writeFileSync(path, String(backgroundPriority));
  } catch (error) {
    // Else it ended at this moment, or this is not allowed here.
    if (errnoOf(error) === 'EAGAIN' && triesLeft > 1)
      setTimeout(() => lowerSession(child, triesLeft - 1), sessionPauseMs).unref();
  }
}

/** Its exit code; null where a signal ended it. Rejects if it could not be started. */
function exitOf(child: ChildProcess): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('exit', resolve);
  promise.catch(() => undefined); // Whoever waits for it hears of it.
  return promise;
}

function endGently(
  child: ChildProcess,
  { exited, graceMs }: { readonly exited: Promise<unknown>; readonly graceMs: number },
): void {
  const kill = (name: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // It ended at this moment.
    }
  };
  kill('SIGTERM');
  const timer = setTimeout(() => kill('SIGKILL'), graceMs);
  void exited.then(
    () => clearTimeout(timer),
    () => clearTimeout(timer),
  );
}

interface Lines {
  summary?: Readonly<Record<string, unknown>>;
  error?: AppError;
}

async function readLines(stream: Readable, { onNote, onStatus }: JobEvents): Promise<Lines> {
  const lines: Lines = {};
  /** Of a document over many lines, as short commands print it. */
  let document = '';
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    const message = parsed(line);
    const type = message?.['message_type'];
    if (message === undefined) document = `${document}${line}\n`.slice(0, documentMaxLength);
    else if (type === 'status') onStatus(message);
    else if (type === 'note') onNote(String(message['text']));
    else if (type === 'error') lines.error = errorOf(message);
    else lines.summary = message;
  }
  const summary = lines.summary ?? parsed(document);
  return summary === undefined ? lines : { ...lines, summary };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function errorOf(message: unknown): AppError {
  const { code, message: text, hint } = errorLine.parse(message);
  return new AppError(isErrorCode(code) ? code : 'JOB_FAILED', text, { hint });
}

async function readText(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text = `${text}${String(chunk)}`.slice(-errorTextMax);
  return text.trim();
}

function endedWithout(args: readonly string[], exitCode: number | null, errorText: string): AppError {
  const how = exitCode === null ? 'was killed' : `ended with ${exitCode}`;
  const words = errorText === '' ? '' : `: ${errorText}`;
  return new AppError('JOB_FAILED', `lifeboat ${args[0] ?? ''} ${how} and returned nothing${words}`, {
    hint: 'See whether the machine ran out of memory; the job is tried again if its policy says so.',
  });
}
