// The exact position of a standby: its replay is paused for as long as it takes to make snapshots. The pause is a single statement of
// a session of its own, which ends it after a while by itself: also where this program was killed, or its machine is gone.
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../../base/errors.ts';
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
  const { signal: never } = new AbortController();
  await using connection = await connectForMaintenance(address, [], never);
  await using holder = await connectForMaintenance(address, [], never);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    signal.throwIfAborted();
    await using pause = await pauseReplay(connection, holder);
    if (pause.reason !== undefined) return { reason: pause.reason };
    const position = positionOfRow(onlyRow(await connection.query<PositionRow>(positionQuery)));
    if (position.lsn >= notBefore) {
      await Promise.all(views.map((view) => view.begin()));
      if ((await pauseState(connection)) === 'paused') return position;
      return { reason: 'the replay of the standby went on before all snapshots were made' };
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

/** Longer than snapshots take. The server must not look whether we are still there: it would break off before the resumption. */
const holdDefaultMs = 30_000;

/** `holder` serves for nothing else; it may be used for one pause after the other. */
export async function pauseReplay(connection: Connection, holder: Connection, holdMs = holdDefaultMs): Promise<Pause> {
  if ((await pauseState(connection)) === 'paused') return nothing; // By somebody else, who will know why.
  await holder.query('SET client_connection_check_interval = 0').catch(() => undefined); // Not on every platform.
  const { pid } = onlyRow(await holder.query<{ readonly pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid'));
  const hold = `SELECT pg_catalog.pg_wal_replay_pause(); SELECT pg_catalog.pg_sleep(${holdMs / 1000}); SELECT pg_catalog.pg_wal_replay_resume()`;
  const held = holder.query(hold).then(
    () => undefined,
    (error: unknown) => asError(error),
  );
  let isPaused = true;
  const pause = {
    async [Symbol.asyncDispose]() {
      if (!isPaused) return;
      isPaused = false;
      await connection.query('SELECT pg_catalog.pg_wal_replay_resume()');
      await connection.query('SELECT pg_catalog.pg_cancel_backend($1)', [pid]);
      await held;
    },
  };
  try {
    for (let waitedMs = 0; (await pauseState(connection)) !== 'paused'; waitedMs += pollMs) {
      const failure = await Promise.race([held, sleep(pollMs)]);
      if (sqlStateOf(failure) === '42501') {
        isPaused = false;
        const reason = 'the role may not run pg_wal_replay_pause() and pg_wal_replay_resume() at the standby';
        return { ...nothing, reason };
      }
      if (failure !== undefined) throw failure;
      if (waitedMs >= pausingWaitMaxMs) return { ...pause, reason: 'the replay of the standby did not pause in time' };
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
