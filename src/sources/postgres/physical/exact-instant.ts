// Finds the position at which a physical backup ends, together with the rows as they are there: all that is hashed later is what a
// server started from the copy must hold, to the row.
import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError, messageOf } from '../../../base/errors.ts';
import type { Fingerprint, FingerprintItem } from '../../../model/fingerprint.ts';
import { onlyRow, type Connection } from '../connection.ts';
import { markPrefix, markText } from '../instant-mark.ts';
import { type Position, type PositionRow, positionOfRow, serverTimeUs } from './position.ts';
import type { ServerAddress } from '../server-address.ts';
import { connectForMaintenance, readServerFacts } from '../server.ts';
import { sqlStateOf } from '../server-errors.ts';
import type { Lsn } from '../wal/lsn.ts';
import { DatabaseView } from './database-view.ts';
import { pausedPosition } from './paused-replay.ts';
import { physicalFingerprint, type FingerprintExtent } from './physical-rows.ts';

export interface ExactInstant extends Position, AsyncDisposable {
  readonly extent: FingerprintExtent;
  /** Reads every table once. */
  fingerprint(): Promise<Fingerprint>;
}

/** Why there is none: a fact for people. A backup without fingerprint is still a backup. */
export interface NoInstant {
  readonly reason: string;
}

export interface InstantRequest {
  readonly address: ServerAddress;
  readonly isStandby: boolean;
  /** Where the backup is consistent at the earliest. */
  readonly notBefore: Lsn;
}

/** Each takes a connection for as long as rows are hashed. */
const databasesMax = 64;
const attemptsMax = 6;
const firstPauseMs = 250;

export async function findInstant(request: InstantRequest, signal: AbortSignal): Promise<ExactInstant | NoInstant> {
  await using opened = new AsyncDisposableStack();
  try {
    const maintenance = opened.use(await connectForMaintenance(request.address, [], signal));
    const server = await readServerFacts(maintenance);
    const names = server.databases.filter((one) => !one.isTemplate && one.allowsConnections).map(({ name }) => name);
    if (names.length > databasesMax) return { reason: `${names.length} databases are more than ${databasesMax}` };
    const views: DatabaseView[] = [];
    for (const name of names) {
      const options = { address: request.address, isSuperuser: server.isSuperuser };
      views.push(opened.use(await DatabaseView.open(options, name, signal)));
    }
    const position = request.isStandby
      ? await pausedPosition(request, views, signal)
      : await lockedPosition({ maintenance, views }, signal);
    if ('reason' in position) return position;
    const held = opened.move();
    const extent = { databases: names, leftOut: views.flatMap((view) => view.leftOut()) };
    return {
      ...position,
      extent,
      async fingerprint() {
        const items: FingerprintItem[] = [];
        for (const view of views) items.push(...(await view.items(extent.leftOut)));
        return physicalFingerprint(items);
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return { reason: messageOf(error) };
  }
}

interface Locking {
  readonly maintenance: Connection;
  readonly views: readonly DatabaseView[];
}

async function lockedPosition({ maintenance, views }: Locking, signal: AbortSignal): Promise<Position | NoInstant> {
  let reason = '';
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    if (attempt > 1) await sleep(firstPauseMs * 2 ** (attempt - 2), undefined, { signal });
    for (const view of views) await view.prepare();
    const outcome = await tryLocking({ maintenance, views });
    if ('lsn' in outcome) {
      const settled = await Promise.all(views.map((view) => view.isSettled(signal)));
      if (settled.every(Boolean)) return outcome;
      reason = 'the structure of the databases changed meanwhile';
    } else if (outcome.isFinal) return outcome;
    else ({ reason } = outcome);
    await Promise.all(views.map((view) => view.giveUp()));
  }
  return { reason: `${reason} (${attemptsMax} attempts)` };
}

/** Lock not had in time, cancelled for its duration, deadlock, table or schema dropped since it was listed. */
const passing = new Set(['55P03', '57014', '40P01', '42P01', '3F000']);

async function tryLocking({ maintenance, views }: Locking): Promise<Position | (NoInstant & { isFinal: boolean })> {
  const outcomes = await Promise.allSettled(views.map((view) => view.holdWriters()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    const { reason: error } = failed as { reason: unknown };
    return { reason: messageOf(error), isFinal: !passing.has(sqlStateOf(error) ?? '') };
  }
  // The clock after the position: no commit before it is later.
  const found = await maintenance.query<PositionRow>(
    `SELECT p.lsn::text AS lsn, ${serverTimeUs} AS "timeUs" FROM (SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn OFFSET 0) AS p`,
  );
  await Promise.all(views.map((view) => view.letWritersGo()));
  const position = positionOfRow(onlyRow(found));
  // A transaction of our own that is flushed takes along what others wrote before and did not flush.
  await maintenance.query(
    `BEGIN; SET LOCAL synchronous_commit = local;
     SELECT pg_catalog.pg_logical_emit_message(true, '${markPrefix}', '${markText(position.lsn)}'); COMMIT`,
  );
  return position;
}
