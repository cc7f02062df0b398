// Begins an incremental backup where that is possible. Whatever stands against it is no failure: then a full one is taken.
import { isAppError, messageOf } from '../../../base/errors.ts';
import type { BackupRequest, EntryProblem } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import { sqlStateOf } from '../server-errors.ts';
import { chooseType, type TypeChoice, type TypeFacts } from './backup-type.ts';
import { dataFolder } from './entries.ts';
import { readFileSizes, readManifest, readParentFacts, type FileSizes } from './parent-backup.ts';
import type { ReceivedBackup } from './received-backup.ts';
import type { ServerState } from './server-state.ts';

export interface BackupParent {
  readonly fullTime: string;
  readonly fileSizes: FileSizes;
}

export interface TypeQuestion {
  readonly connection: ReplicationConnection;
  readonly server: ServerState;
  readonly options: PostgresOptions;
  readonly request: BackupRequest;
  readonly nowMs: number;
}

export interface IncrementalStart extends TypeQuestion {
  readonly begin: (isIncremental: boolean) => Promise<BegunBackup>;
  readonly notes: EntryProblem[];
}

export interface BegunBackup {
  readonly slot: string | undefined;
  readonly received: ReceivedBackup;
}

export interface StartedIncremental extends BegunBackup {
  readonly parent: BackupParent;
}

export async function startIncremental(
  start: IncrementalStart,
  signal: AbortSignal,
): Promise<StartedIncremental | undefined> {
  const { connection, begin, request, notes } = start;
  const notesBefore = notes.length;
  try {
    const { choice, facts } = await decideType(start, signal);
    if (choice.type === 'full') {
      if (choice.isUnwanted) noteFull(start, choice.reason);
      return undefined;
    }
    if (request.parent === undefined || typeof facts !== 'object')
      throw new Error('an incremental backup builds on another');
    const fileSizes = await readFileSizes(request.parent, signal);
    await connection.uploadManifest(readManifest(request.parent, signal));
    return { ...(await begin(true)), parent: { fullTime: facts.fullTime, fileSizes } };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error, 'REPOSITORY_DAMAGED', 'NOT_FOUND', 'OBJECT_MISSING') && !isRefusal(error)) throw error;
    notes.length = notesBefore; // Warnings about the attempt say nothing about the backup that follows.
    noteFull(start, messageOf(error));
    return undefined;
  }
}

export async function decideType(
  { connection, server, options, request, nowMs }: TypeQuestion,
  signal: AbortSignal,
): Promise<{ readonly choice: TypeChoice; readonly facts: TypeFacts['parent'] }> {
  const facts = await readParentFacts(request.parent, signal);
  const choice = chooseType({
    requested: request.type,
    major: server.major,
    summarizeWal: server.major >= 17 ? await connection.show('summarize_wal') : undefined,
    systemIdentifier: server.systemIdentifier,
    hasChecksums: server.hasChecksums,
    parent: facts,
    nowMs,
    fullEveryMs: options.physical.fullEveryMs,
  });
  return { choice, facts };
}

/** The server itself said no, and the connection goes on. Classes 08 and 57 are about the connection and the server as a whole. */
function isRefusal(error: unknown): boolean {
  const state = isAppError(error) ? sqlStateOf(error) : undefined;
  return state !== undefined && /^[0-9A-Z]{5}$/.test(state) && !/^(?:08|57)/.test(state);
}

function noteFull({ notes }: IncrementalStart, reason: string): void {
  notes.push({ path: dataFolder, message: `a full backup in place of an incremental one: ${reason}` });
}
