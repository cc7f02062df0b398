// A server of ours that replays a journal into a data directory and does nothing else: private, watched by its log, and stopped if
// what it asks for can't be given. It must never take a failure for the end of the journal.
import type { ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { ThrowAwayFolder } from '../../../base/throw-away-folder.ts';
import type { Feed } from '../../replay.ts';
import { type Account, spawnServerProgram, stopServer } from '../server-process.ts';
import { type ControlFile, controlFilePath, readControlFile } from '../wal/control-file.ts';
import type { Lsn } from '../wal/lsn.ts';
import { privateSettings, type RecoveryAim, targetSettings } from './recovery-settings.ts';
import { RecoveryWatch } from './recovery-watch.ts';

export interface RecoveringOptions {
  readonly dataFolder: string;
  readonly programFolder: string;
  readonly account: Account | undefined;
  /** Holds sockets and configuration; goes with the recovery. */
  readonly work: Pick<ThrowAwayFolder, 'path' | 'guard'>;
  readonly aim: Omit<RecoveryAim, 'command'>;
  readonly feed: Feed;
  readonly onReplayed: (lsn: Lsn) => void;
  /** Once it is promoted and before it is stopped; must not reject for what it finds. */
  readonly onPromoted?: ((place: Waiting) => Promise<void>) | undefined;
  /** More settings, which win. */
  readonly settings?: readonly (readonly [string, string])[] | undefined;
}

export interface Recovered {
  /** Of the server that has ended. */
  readonly control: ControlFile;
  readonly replayedLsn: Lsn | undefined;
  readonly lastTransaction: string | undefined;
  readonly stopping: string | undefined;
}

/** How it waits at the target for somebody to decide. */
export interface Waiting {
  readonly socketFolder: string;
  readonly port: number;
}

/** Any free number: the socket lies in a folder of its own. */
export const socketPort = 5432;

/** Recovers, does what is to be done at the target, and stops the server. Rejects with `RESTORE_FAILED`. */
export async function runRecovery(
  options: RecoveringOptions,
  onWaiting: (waiting: Waiting) => Promise<'promote' | 'shutdown'>,
  signal: AbortSignal,
): Promise<Recovered> {
  const { dataFolder, feed } = options;
  const socketFolder = await makeSocketFolder(options);
  const control = await controlOf(dataFolder);
  const child = await spawnRecovering(options, control, socketFolder);
  const watch = new RecoveryWatch(child, options.onReplayed);
  const halt = AbortSignal.any([signal, feed.signal]);
  // A server whose files can't be had must not go on: it would ask again, and be refused again, at the best.
  const stop = (): boolean => child.kill('SIGQUIT');
  halt.addEventListener('abort', stop, { once: true });
  try {
    if (halt.aborted) stop();
    const reached = await watch.next();
    if (reached === 'stuck') throw notReadable(watch.limits ?? '');
    if (reached === 'paused' && (await onWaiting({ socketFolder, port: socketPort })) === 'promote') {
      await promote(options, child);
      await watch.promotedOrEnded();
    }
    signal.throwIfAborted();
    feed.signal.throwIfAborted();
    if (watch.isPromoted && !watch.hasEnded) await options.onPromoted?.({ socketFolder, port: socketPort });
    if (!watch.hasEnded) await stopServer(child);
    await watch.ended();
    signal.throwIfAborted();
    feed.signal.throwIfAborted();
    return await outcomeOf(options, watch);
  } finally {
    halt.removeEventListener('abort', stop);
    await stopServer(child);
  }
}

export async function makeSocketFolder({
  work,
  account,
}: Pick<RecoveringOptions, 'work' | 'account'>): Promise<string> {
  const folder = join(work.path, 'socket');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  return folder;
}

export async function controlOf(dataFolder: string): Promise<ControlFile> {
  return readControlFile(await readFile(join(dataFolder, controlFilePath)));
}

export async function spawnRecovering(
  options: RecoveringOptions,
  control: ControlFile,
  socketFolder: string,
): Promise<ChildProcess> {
  const { dataFolder, programFolder, account, work, aim, feed } = options;
  const files = { configFile: 'postgresql.conf', accessFile: 'pg_hba.conf', namesFile: 'pg_ident.conf' };
  // Whoever may enter the folder of the socket is the server's own account, or root.
  await writeOwn(join(work.path, files.accessFile), 'local all all trust\n', account);
  await writeOwn(join(work.path, files.configFile), '', account);
  await writeOwn(join(work.path, files.namesFile), '', account);
  const places = {
    configFile: join(work.path, files.configFile),
    accessFile: join(work.path, files.accessFile),
    namesFile: join(work.path, files.namesFile),
    socketFolder,
    port: socketPort,
  };
  const settings = [
    ...privateSettings(control, places, { isReadable: aim.action === 'pause' }),
    ...targetSettings({ ...aim, command: feed.command }),
    ...(options.settings ?? []),
  ];
  const flags = settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawnServerProgram({ programFolder, folder: work.path, account }, 'postgres', [
    '-D',
    dataFolder,
    ...flags,
  ]);
  work.guard(child, 'QUIT');
  return child;
}

async function writeOwn(path: string, text: string, account: Account | undefined): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

/** As `pg_ctl promote` does it. */
async function promote({ dataFolder, account }: RecoveringOptions, child: ChildProcess): Promise<void> {
  await writeOwn(join(dataFolder, 'promote'), '', account);
  child.kill('SIGUSR1');
}

/** The original was given higher limits during what is replayed; a server that can be read in between needs them from the start. */
function notReadable(words: string): AppError {
  return new AppError('RESTORE_FAILED', `the server can't be looked at before it is promoted: ${words}`, {
    hint: 'Restore with --action promote.',
  });
}

/** The state that the server left decides, not only what it said. */
async function outcomeOf({ dataFolder, aim }: RecoveringOptions, watch: RecoveryWatch): Promise<Recovered> {
  const control = await controlOf(dataFolder);
  const { replayedLsn, lastTransaction, stopping } = watch;
  const isPromoted = watch.isPromoted && control.state === 'shut down' && control.timeline > aim.timeline;
  const isStopped = !watch.isPromoted && stopping !== undefined && control.state === 'shut down in recovery';
  if (isPromoted || (isStopped && aim.action !== 'promote')) {
    return { control, replayedLsn, lastTransaction, stopping };
  }
  throw notReached(watch.complaints || `it ended in the state '${control.state}'`);
}

/** `words` are the server's own. */
export function notReached(words: string): AppError {
  return new AppError('RESTORE_FAILED', `the server did not reach the target: ${words}`, { hint: hintFor(words) });
}

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /before configured recovery target was reached/,
    'A part of the journal that was needed is not valid: choose an earlier instant.',
  ],
  [/resource manager with ID/, 'An extension writes records of its own, and its library is not loaded here.'],
  [/No space left/, 'Free space on the disk of the target.'],
  [/could not (?:map|resize|create).*shared memory|Cannot allocate memory/, 'Give this machine more memory.'],
  [/could not load locale|collation/, 'Install the locales of the original server on this machine.'],
];

function hintFor(words: string): string {
  return hints.find(([form]) => form.test(words))?.[1] ?? 'Read what the server says, and run the same restore again.';
}
