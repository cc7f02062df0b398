// Writes sentinels for as long as a receiver runs: one row each interval, by a connection of its own that is made again whenever it
// is lost. What keeps it from writing is told once, and never holds up the journal.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { SentinelSettings } from '../../../model/sentinel.ts';
import type { JournalEvents } from '../../journal.ts';
import { connect, onlyRow, type Connection } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { stateQuery, wayToWrite, writeStatement, type SentinelState, type SentinelWay } from './sentinel-table.ts';

const retryMinMs = 10_000;
/** A row that waits for a lock so long is late anyway. */
const patience = "SET lock_timeout = '5s'; SET statement_timeout = '10s'";

export const sentinelDatabase = (
  { database }: SentinelSettings,
  { databases }: Pick<PostgresOptions, 'databases'>,
): string => database ?? databases[0] ?? 'postgres';

/** Resolves once the signal has aborted. */
export async function writeSentinels(
  options: PostgresOptions,
  { settings, events }: { readonly settings: SentinelSettings; readonly events: Pick<JournalEvents, 'note' | 'warn'> },
  signal: AbortSignal,
): Promise<void> {
  const { intervalMs } = settings;
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      await using connection = await connectedFor(options, settings, signal);
      events.note(`sentinels are written into lifeboat.sentinel of database ${connection.database}`);
      for (const statement = writeStatement(intervalMs); !signal.aborted; await pause(intervalMs, signal)) {
        await connection.query(statement);
        told = undefined;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isAppError(error)) throw error;
      if (told !== error.message) events.warn(lostFinding(error));
      told = error.message;
    }
    await pause(Math.max(retryMinMs, intervalMs), signal);
  }
}

async function connectedFor(
  options: PostgresOptions,
  settings: SentinelSettings,
  signal: AbortSignal,
): Promise<Connection> {
  const database = sentinelDatabase(settings, options);
  await using stack = new AsyncDisposableStack();
  const connection = stack.use(await connect(await addressOf(options), database, signal));
  await connection.query(patience);
  const way = await lookAtSentinels(connection, options);
  if (way.kind === 'lacking') throw new AppError('SOURCE_DENIED', way.message, { hint: way.hint });
  if (way.kind === 'create') for (const statement of way.statements) await connection.query(statement);
  stack.move();
  return connection;
}

export async function lookAtSentinels(
  connection: Connection,
  { user }: Pick<PostgresOptions, 'user'>,
): Promise<SentinelWay> {
  const state = onlyRow(await connection.query<SentinelState>(stateQuery));
  return wayToWrite(state, { user, database: connection.database });
}

function lostFinding({ message, hint }: AppError): Finding {
  return { aspect: 'sentinel', outcome: 'warning', message: `no sentinels are written: ${message}`, hint };
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
