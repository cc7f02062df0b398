// What became of a swap whose answer was lost. The server knows: nobody needs to be left guessing while it can be asked.
import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError } from '../../../base/errors.ts';
import { type Connection, onlyRow } from '../connection.ts';
import { connectForMaintenance } from '../server.ts';
import type { ServerAddress } from '../server-address.ts';
import type { Swap } from './swap-databases.ts';

/** All were renamed or none; unknown where the server gives no answer. */
export type SwapState = 'swapped' | 'unchanged' | 'unknown';

const lookUpMaxMs = 30_000;
/** A server that fell over in the middle of it may need a moment to come back. */
const attemptsMax = 5;
const pauseMs = 2000;

/** The number of the connection's session, by which it can be found when the connection is gone. */
export async function sessionOf(connection: Connection): Promise<number> {
  return onlyRow(await connection.query<{ readonly pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid')).pid;
}

export async function lookUpSwap(
  swaps: readonly Swap[],
  { address, session }: { readonly address: ServerAddress; readonly session: number },
): Promise<SwapState> {
  // Not the caller's signal: it may be what ended the swap.
  const signal = AbortSignal.timeout(lookUpMaxMs);
  const avoid = swaps.map(({ target }) => target);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    try {
      await using connection = await connectForMaintenance(address, avoid, signal);
      await endSession(connection, session, signal);
      return stateOf(swaps, await namesOf(connection));
    } catch (error) {
      if (signal.aborted) return 'unknown';
      if (!isAppError(error)) throw error;
    }
    if (attempt < attemptsMax) await sleep(pauseMs);
  }
  return 'unknown';
}

/** It may still be at work, not knowing that nobody listens: what is seen before its end need not stay so. */
async function endSession(connection: Connection, session: number, signal: AbortSignal): Promise<void> {
  const query = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                  WHERE pid = $1 AND application_name = 'lifeboat'`;
  while ((await connection.query(query, [session])).length > 0) await sleep(50, undefined, { signal });
}

async function namesOf(connection: Connection): Promise<ReadonlySet<string>> {
  const rows = await connection.query<{ readonly name: string }>('SELECT datname::text AS name FROM pg_database');
  return new Set(rows.map(({ name }) => name));
}

function stateOf(swaps: readonly Swap[], names: ReadonlySet<string>): SwapState {
  if (swaps.every(({ restored }) => names.has(restored))) return 'unchanged';
  const isThere = ({ restored, target, before }: Swap): boolean =>
    !names.has(restored) && names.has(target) && (before === undefined || names.has(before));
  return swaps.every(isThere) ? 'swapped' : 'unknown';
}
