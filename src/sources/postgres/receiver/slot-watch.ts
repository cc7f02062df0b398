// Looks every minute at what the replication slot makes the server keep, whether or not anything is being received: a slot that
// nobody empties fills the server's disk.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isAppError } from '../../../base/errors.ts';
import type { JournalEvents } from '../../journal.ts';
import { connect } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { applicationNameDefault } from '../protocol/connect-replication.ts';
import { synchronousFinding } from '../protocol/preflight-findings.ts';
import { describeSlotUse, isWorse, slotFindingOf, slotLevel, slotUseOf, slotUseQuery } from './slot-state.ts';
import type { SlotLevel, SlotUse, SlotUseRow } from './slot-state.ts';

export interface SlotWatchOptions {
  readonly source: PostgresOptions;
  readonly events: Pick<JournalEvents, 'note' | 'warn'>;
  readonly everyMs: number;
  /** The database that the receiver is connected to; undefined while it is not, or to none. */
  readonly database: () => string | undefined;
}

/** Resolves once the signal has aborted. */
export async function watchSlot(options: SlotWatchOptions, signal: AbortSignal): Promise<void> {
  const { source, events, everyMs } = options;
  let level: SlotLevel = 'fine';
  let isSynchronous = false;
  let failure: string | undefined;
  while (!signal.aborted) {
    try {
      await sleep(everyMs, undefined, { signal });
      const use = await look(options, signal);
      failure = undefined;
      if (use === undefined) continue;
      const now = slotLevel(use);
      const finding = slotFindingOf(source.slot, use);
      if (finding !== undefined && isWorse(now, level)) events.warn(finding);
      if (finding === undefined && level !== 'fine') events.note(`slot ${source.slot} ${describeSlotUse(use)} again`);
      level = now;
      const waits = use.syncState === 'sync' || use.syncState === 'quorum';
      if (waits && !isSynchronous) events.warn(synchronousFinding(use.synchronousNames, applicationNameDefault));
      isSynchronous = waits;
    } catch (error) {
      if (signal.aborted) return;
      if (!isAppError(error)) throw error;
      // The receiver tells of a server that is away.
      if (options.database() !== undefined && failure === undefined)
        events.note(`the replication slot can't be watched: ${error.message}`);
      failure = error.message;
    }
  }
}

async function look({ source, database }: SlotWatchOptions, signal: AbortSignal): Promise<SlotUse | undefined> {
  const name = database();
  if (name === undefined) return undefined;
  await using connection = await connect(await addressOf(source), name, signal);
  const [row] = await connection.query<SlotUseRow>(slotUseQuery + pg.escapeLiteral(source.slot));
  return row === undefined ? undefined : slotUseOf(row);
}
