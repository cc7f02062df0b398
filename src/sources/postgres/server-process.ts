// Processes of PostgreSQL servers that this program runs itself: as whom, from which copy of the programs, and how they are ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, lchown, mkdir, opendir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverUserId } from '../../base/throw-away-folder.ts';
import { completeLinks, type ServerPrograms } from './server-programs.ts';

/** Another account than ours. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The server refuses to run as root; then it runs as `nobody`, who owns nothing else. */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: serverUserId, gid: serverUserId };
}

/** From where and as whom a program of the server is run. */
export interface ProgramPlace {
  readonly programFolder: string;
  /** The working folder. */
  readonly folder: string;
  /** Ours if absent. */
  readonly account: Account | undefined;
}

/** Gives a folder and all in it to another account; links themselves, not what they lead to. */
export async function giveAway(account: Account, folder: string, signal: AbortSignal): Promise<void> {
  await lchown(folder, account.uid, account.gid);
  for await (const entry of await opendir(folder)) {
    signal.throwIfAborted();
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await giveAway(account, path, signal);
    else await lchown(path, account.uid, account.gid);
  }
}

/** Copies the programs where another account can't reach them (a home folder) or where links can't be completed. */
export async function reachablePrograms(
  programs: ServerPrograms,
  folder: string,
  account: Account | undefined,
): Promise<string> {
  const isComplete = programs.origin === 'machine' || (await completeLinks(programs.root));
  if (isComplete && (account === undefined || (await isOpenToAll(programs.folder)))) return programs.folder;
  const copy = join(folder, 'programs', 'native');
  await mkdir(dirname(copy));
  await chmod(dirname(copy), 0o755);
  await cp(programs.root, copy, { recursive: true, verbatimSymlinks: true });
  if (programs.origin === 'npm package') await completeLinks(copy);
  return join(copy, 'bin');
}

export async function isOpenToAll(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

export function spawnServerProgram(
  place: ProgramPlace,
  program: string,
  programArguments: readonly string[],
): ChildProcess {
  return spawn(join(place.programFolder, program), programArguments, {
    ...spawnOptions(place),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** One that reads what it shall do: the server by itself, without a network, for one superuser. */
export function spawnSingleUserServer(place: ProgramPlace, programArguments: readonly string[]): ChildProcess {
  return spawn(join(place.programFolder, 'postgres'), ['--single', ...programArguments], {
    ...spawnOptions(place),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}

function spawnOptions({ folder, account }: ProgramPlace) {
  return { cwd: folder, env: { LC_ALL: 'C', PATH: '/usr/bin:/bin', TZ: 'UTC' }, ...account };
}

/** The last lines that a program wrote to stderr, kept bounded. */
export function collectMessages(child: ChildProcess): () => string {
  const keptMax = 4_000;
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (kept = (kept + text).slice(-keptMax)));
  return () => kept.trim().replaceAll('\t', ' ');
}

/** Asks the kernel for a port nobody uses. Somebody else may take it before the server does. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('the probe has no port');
  return address.port;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** Fast shutdown first (it ends connections), then without ceremony, then by the kernel. */
export async function stopServer(child: ChildProcess): Promise<void> {
  for (const [name, patienceMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(name);
    const patience = new AbortController();
    await Promise.race([ended, sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }
}
