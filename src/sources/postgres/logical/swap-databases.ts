// Puts restored databases in the place of the old ones, all at once: renaming is transactional, so there is no instant at
// which a name leads nowhere, and a failure leaves every name as it was.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AppError, isAppError, messageOf } from '../../../base/errors.ts';
import { type Connection, connect } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';
import { sqlStateOf } from '../server-errors.ts';

export interface Swap {
  /** The restored one, under its name of the time being. */
  readonly restored: string;
  readonly target: string;
  /** What the old one is called from now on; absent if there is none. */
  readonly before: string | undefined;
}

const attemptsMax = 5;

export async function swapDatabases(
  connection: Connection,
  swaps: readonly Swap[],
  { address, signal }: { readonly address: ServerAddress; readonly signal: AbortSignal },
): Promise<void> {
  const names = swaps.flatMap(({ restored, target }) => [restored, target]);
  await using terminator = await connect(address, connection.database, signal);
  for (let attempt = 1; ; attempt += 1) {
    const done = new AbortController();
    const ending = endSessions(terminator, names, done.signal);
    try {
      await rename(connection, swaps);
      return;
    } catch (error) {
      const isInUse = sqlStateOf(error) === '55006';
      if (!isInUse) throw error;
      if (attempt === attemptsMax) throw inUse(names, error, await stop(done, ending));
    } finally {
      await stop(done, ending);
    }
  }
}

function stop(done: AbortController, ending: Promise<string | undefined>): Promise<string | undefined> {
  done.abort();
  return ending;
}

async function rename(connection: Connection, swaps: readonly Swap[]): Promise<void> {
  await connection.query('BEGIN');
  try {
    await connection.query("SET LOCAL lock_timeout = '30s'");
    for (const { restored, target, before } of swaps) {
      if (before !== undefined) await connection.query(renameStatement(target, before));
      await connection.query(renameStatement(restored, target));
    }
    await connection.query('COMMIT');
  } catch (error) {
    await connection.query('ROLLBACK');
    throw error;
  }
}

function renameStatement(from: string, to: string): string {
  return `ALTER DATABASE ${pg.escapeIdentifier(from)} RENAME TO ${pg.escapeIdentifier(to)}`;
}

/**
 * Ends sessions again and again while the rename waits: an application reconnects at once, but once the rename holds its
 * lock newcomers wait outside. Answers why it could not, if so.
 */
async function endSessions(
  connection: Connection,
  names: readonly string[],
  done: AbortSignal,
): Promise<string | undefined> {
  let refusal: string | undefined;
  const query = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                  WHERE datname = ANY ($1::text[]) AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'`;
  while (!done.aborted) {
    try {
      await connection.query(query, [names]);
    } catch (error) {
      if (!isAppError(error)) throw error;
      refusal = messageOf(error);
    }
    await sleep(50, undefined, { signal: done }).catch(() => undefined);
  }
  return refusal;
}

function inUse(names: readonly string[], cause: unknown, refusal: string | undefined): AppError {
  const why = refusal === undefined ? '' : ` (${refusal})`;
  return new AppError('TARGET_UNSAFE', `sessions in ${names.join(', ')} did not end${why}`, {
    hint: 'Stop the application, or grant the restoring role pg_signal_backend, then restore again.',
    cause,
  });
}
