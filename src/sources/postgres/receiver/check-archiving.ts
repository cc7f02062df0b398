// Looks at how a server hands over its WAL by archive_command: whether it does, whether it succeeds, and what waits in the folder
// in between.
import { isAppError } from '../../../base/errors.ts';
import { count } from '../../../base/count.ts';
import type { Finding } from '../../../model/finding.ts';
import { onlyRow } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { connectForMaintenance } from '../server.ts';
import { IncomingFolder } from './incoming-folder.ts';

interface Archiver {
  readonly mode: string;
  readonly last: string | null;
  readonly lastTime: string | null;
  readonly failed: string | null;
  readonly failedTime: string | null;
  readonly isFailing: boolean;
}

const archiverQuery = `
  SELECT pg_catalog.current_setting('archive_mode') AS mode, last_archived_wal AS last, last_archived_time::text AS "lastTime",
         last_failed_wal AS failed, last_failed_time::text AS "failedTime",
         coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS "isFailing"
    FROM pg_catalog.pg_stat_archiver`;

export async function* checkArchiving(
  options: PostgresOptions,
  folder: string,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  try {
    await using connection = await connectForMaintenance(await addressOf(options), options.databases, signal);
    yield archiverFinding(onlyRow(await connection.query<Archiver>(archiverQuery)));
  } catch (error) {
    yield failed('archiving', error, signal);
  }
  try {
    const waiting = await (await IncomingFolder.open(folder)).waiting();
    const message =
      waiting.length === 0 ? `nothing waits in ${folder}` : `${count(waiting.length, 'file')} in ${folder}`;
    yield { aspect: 'incoming folder', outcome: 'passed', message };
  } catch (error) {
    yield failed('incoming folder', error, signal);
  }
}

function failed(aspect: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!isAppError(error)) throw error;
  return { aspect, outcome: 'failed', message: error.message, hint: error.hint };
}

function archiverFinding({ mode, last, lastTime, failed: segment, failedTime, isFailing }: Archiver): Finding {
  const aspect = 'archiving';
  if (mode === 'off') {
    const hint =
      "Run as a superuser: ALTER SYSTEM SET archive_mode = on; set archive_command to 'lifeboat journal push …', and restart the server.";
    return { aspect, outcome: 'failed', message: 'archive_mode is off: the server hands over nothing', hint };
  }
  if (isFailing) {
    const message = `the server failed to hand over ${segment} at ${failedTime}; it keeps it and tries again`;
    return { aspect, outcome: 'warning', message, hint: 'Read the server log: it has what the command said.' };
  }
  const message =
    last === null ? 'the server has not handed over anything yet' : `last handed over ${last} at ${lastTime}`;
  return { aspect, outcome: 'passed', message };
}
