// One throw-away server at an instant: started, brought there, and asked where it really is.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { PastDoor, PastServer } from '../../explore.ts';
import type { Feed } from '../../replay.ts';
import { connect, onlyRow } from '../connection.ts';
import type { ServerPlace } from '../local-server.ts';
import type { BaseFacts } from '../recovery/base-facts.ts';
import {
  controlOf,
  makeSocketFolder,
  notReached,
  type RecoveringOptions,
  socketPort,
  spawnRecovering,
} from '../recovery/recovering-server.ts';
import { RecoveryWatch } from '../recovery/recovery-watch.ts';
import { quietSettings } from '../recovery/recovery-settings.ts';
import type { ServerAddress } from '../server-address.ts';
import { stopServer } from '../server-process.ts';
import { openDoor } from './door.ts';

export interface PastServerOptions {
  readonly place: ServerPlace;
  /** A folder of this very run. */
  readonly run: string;
  readonly dataFolder: string;
  readonly facts: BaseFacts;
  readonly aim: RecoveringOptions['aim'];
  readonly feed: Feed;
}

/** Between the word that the target is reached and a server that answers. */
const answerWaitMaxMs = 60_000;

export async function startPastServer(
  options: PastServerOptions,
  signal: AbortSignal,
): Promise<PastServer & { readonly isPaused: boolean }> {
  const { place, run, dataFolder, facts, aim, feed } = options;
  const { account, programFolder } = place;
  const work = { path: run, guard: place.guard };
  const socketFolder = await makeSocketFolder({ work, account });
  const control = await controlOf(dataFolder);
  const settings = pastSettings(facts.serverMajor, aim.action === 'pause');
  const recovering = { dataFolder, programFolder, account, work, aim, feed, settings, onReplayed: () => undefined };
  const child = await spawnRecovering(recovering, control, socketFolder);
  const watch = new RecoveryWatch(child, () => undefined);
  const halt = AbortSignal.any([signal, feed.signal]);
  const stop = (): boolean => child.kill('SIGQUIT');
  halt.addEventListener('abort', stop, { once: true });
  try {
    if (halt.aborted) stop();
    const state = await watch.next();
    halt.throwIfAborted();
    if (state === 'stuck') throw notReadable(watch.limits ?? '');
    if (state === 'ended') throw notReached(watch.complaints || 'it ended');
    const access = { host: socketFolder, port: socketPort, user: facts.superuser ?? 'postgres' };
    const address: ServerAddress = { ...access, ssl: { mode: 'disable' } };
    const found = await ask(address, watch, signal);
    const ended = new AbortController();
    void watch.ended().then(() => ended.abort(gone(watch.complaints)));
    const doors = new AsyncDisposableStack();
    return {
      description: `PostgreSQL ${place.programs.version}`,
      isPaused: found.isPaused,
      reached: { position: found.position ?? '', ...(found.timeUs === null ? {} : { timeUs: Number(found.timeUs) }) },
      databases: found.databases,
      access,
      signal: ended.signal,
      listen: async (): Promise<PastDoor> => doors.use(await openDoor({ access, folder: run })),
      async [Symbol.asyncDispose]() {
        await doors.disposeAsync();
        await stopServer(child);
      },
    };
  } catch (error) {
    await stopServer(child);
    throw error;
  } finally {
    halt.removeEventListener('abort', stop);
  }
}

/** It does nothing by itself and keeps nothing: of a copy of production nobody wants either. */
function pastSettings(major: number, isReadOnly: boolean): (readonly [string, string])[] {
  return [
    ['fsync', 'off'],
    ['full_page_writes', 'off'],
    ['synchronous_commit', 'off'],
    ['max_standby_archive_delay', '-1'],
    ...quietSettings(major),
    // Where the backup itself is the instant, the server can't wait within its recovery.
    ...(isReadOnly ? [['default_transaction_read_only', 'on'] as const] : []),
  ];
}

interface Found {
  readonly isPaused: boolean;
  readonly position: string | null;
  readonly timeUs: string | null;
  readonly databases: string[];
}

const placeQuery = `
  SELECT pg_catalog.pg_is_in_recovery() AS "isPaused", pg_catalog.pg_last_wal_replay_lsn()::text AS position,
         (extract(epoch FROM pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint::text AS "timeUs",
         ARRAY(SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1) AS databases`;

async function ask(address: ServerAddress, watch: RecoveryWatch, signal: AbortSignal): Promise<Found> {
  for (let waitedMs = 0; ; waitedMs += 100) {
    try {
      await using connection = await connect(address, 'postgres', signal);
      return onlyRow(await connection.query<Found>(placeQuery));
    } catch (error) {
      if (!isAppError(error) || waitedMs >= answerWaitMaxMs) throw error;
      if (watch.hasEnded) throw notReached(watch.complaints || 'it ended');
    }
    await sleep(100, undefined, { signal });
  }
}

function notReadable(words: string): AppError {
  return new AppError('RESTORE_FAILED', `the server can't be read at that instant: ${words}`, {
    hint: 'The original was given higher limits behind the backup: choose an instant behind the next backup, or restore it with lifeboat restore.',
  });
}

function gone(complaints: string): AppError {
  return new AppError('RESTORE_FAILED', `the throw-away server ended: ${complaints || 'it said nothing'}`, {
    hint: 'Read what the server says, and open it again.',
  });
}
