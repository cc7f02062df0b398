// The exact position of a standby: its replay is paused for as long as it takes to make snapshots.
import { setTimeout as sleep } from 'node:timers/promises';
import { onlyRow, type Connection } from '../connection.ts';
import { connectForMaintenance } from '../server.ts';
import { sqlStateOf } from '../server-errors.ts';
import type { Lsn } from '../wal/lsn.ts';
import type { DatabaseView } from './database-view.ts';
import { type Position, type PositionRow, positionOfRow, serverTimeUs } from './position.ts';
import type { ServerAddress } from '../server-address.ts';

/** Commits carry the primary's clock, so the newest one that was replayed says more than the standby's. */
const positionQuery = `
  SELECT pg_catalog.pg_last_wal_replay_lsn()::text AS lsn,
         coalesce((extract(epoch FROM pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint::text, ${serverTimeUs}) AS "timeUs"`;
const attemptsMax = 20;
const pauseMs = 500;
const pausingWaitMaxMs = 5_000;
const pollMs = 20;

export async function pausedPosition(
  { address, notBefore }: { readonly address: ServerAddress; readonly notBefore: Lsn },
  views: readonly DatabaseView[],
  signal: AbortSignal,
): Promise<Position | { readonly reason: string }> {
  // Not to be ended by an abort: whoever pauses must be able to let go on.
  await using connection = await connectForMaintenance(address, [], new AbortController().signal);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    signal.throwIfAborted();
    await using pause = await pauseReplay(connection);
    if (pause.reason !== undefined) return { reason: pause.reason };
    const position = positionOfRow(onlyRow(await connection.query<PositionRow>(positionQuery)));
    if (position.lsn >= notBefore) {
      await Promise.all(views.map((view) => view.begin()));
      return position;
    }
    await pause[Symbol.asyncDispose]();
    await sleep(pauseMs, undefined, { signal });
  }
  return { reason: 'the standby did not replay up to the end of the backup in time' };
}

interface Pause extends AsyncDisposable {
  /** Why replay is not paused. */
  readonly reason?: string;
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: () => Promise.resolve() };

async function pauseReplay(connection: Connection): Promise<Pause> {
  if ((await pauseState(connection)) === 'paused') return nothing; // By somebody else, who will know why.
  try {
    await connection.query('SELECT pg_catalog.pg_wal_replay_pause()');
  } catch (error) {
    if (sqlStateOf(error) !== '42501') throw error;
    return {
      ...nothing,
      reason: 'the role may not run pg_wal_replay_pause() and pg_wal_replay_resume() at the standby',
    };
  }
  let isPaused = true;
  const pause = {
    async [Symbol.asyncDispose]() {
      if (!isPaused) return;
      isPaused = false;
      await connection.query('SELECT pg_catalog.pg_wal_replay_resume()');
    },
  };
  try {
    for (let waitedMs = 0; (await pauseState(connection)) !== 'paused'; waitedMs += pollMs) {
      if (waitedMs >= pausingWaitMaxMs) return { ...pause, reason: 'the replay of the standby did not pause in time' };
      await sleep(pollMs);
    }
    return pause;
  } catch (error) {
    await pause[Symbol.asyncDispose]();
    throw error;
  }
}

async function pauseState(connection: Connection): Promise<string> {
  const query = 'SELECT pg_catalog.pg_get_wal_replay_pause_state() AS state';
  return onlyRow(await connection.query<{ readonly state: string }>(query)).state;
}
