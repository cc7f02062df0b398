// Begins a base backup: connection, slot, checkpoint. From here on the server is in backup until the connection ends.
import { randomBytes } from 'node:crypto';
import { asError } from '../../../base/errors.ts';
import type { BackupRequest, EntryProblem } from '../../source.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { connectReplication } from '../protocol/connect-replication.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import { replicationFailure } from '../protocol/replication-error.ts';
import type { ServerAddress } from '../server-address.ts';
import { requireDatabases } from '../server.ts';
import { dataFolder } from './entries.ts';
import { startIncremental, type BackupParent, type BegunBackup } from './start-incremental.ts';
import { ReceivedBackup } from './received-backup.ts';
import { readServerState, type ServerState } from './server-state.ts';

export interface RunningBackup extends AsyncDisposable {
  readonly address: ServerAddress;
  readonly connection: ReplicationConnection;
  /** Whether bytes might change on their way here: what comes is then compared with the SHA-256 of what was sent. */
  readonly isWayOpen: boolean;
  readonly server: ServerState;
  readonly received: ReceivedBackup;
  /** Keeps the WAL from before the backup's start until the connection ends; undefined if the server has none to spare. */
  readonly slot: string | undefined;
  readonly takenAtMs: number;
  readonly notes: EntryProblem[];
  /** What an incremental backup builds on; undefined for a full one. */
  readonly parent: BackupParent | undefined;
  /** Ends the connection, whatever it does at that moment. */
  stop(reason: Error): void;
}

export async function startBackup(
  options: PostgresOptions,
  request: BackupRequest,
  signal: AbortSignal,
): Promise<RunningBackup> {
  const address = await addressOf(options);
  const stopped = new AbortController();
  const notes: EntryProblem[] = [];
  const connection = await connectReplication(
    address,
    {
      onNotice: ({ severity, message }) => {
        if (severity === 'WARNING') notes.push({ path: dataFolder, message: `the server warns: ${message}` });
      },
      clock: options.clock,
    },
    AbortSignal.any([signal, stopped.signal]),
  );
  const stop = (reason: Error): void => stopped.abort(reason);
  try {
    const server = await readServerState(connection);
    await requireListed(connection, options.databases);
    const takenAtMs = options.clock.now();
    const isOpen = isWayOpen(address, connection.facts);
    const base = {
      label: `lifeboat ${new Date(takenAtMs).toISOString()}`,
      checkpoint: options.physical.checkpoint,
      manifestChecksums: isOpen ? 'SHA256' : 'CRC32C',
      maxRateKilobytes: rateKilobytes(options.physical.rateMaxBytes),
    } as const;
    const begin = async (isIncremental: boolean): Promise<BegunBackup> => {
      const slot = await temporarySlot(connection, notes);
      return { slot, received: await ReceivedBackup.begin(connection.baseBackup({ ...base, isIncremental })) };
    };
    const incremental = { connection, server, begin, notes, options, request, nowMs: takenAtMs };
    const { slot, received, parent } = (await startIncremental(incremental, signal)) ?? {
      ...(await begin(false)),
      parent: undefined,
    };
    return {
      parent,
      address,
      connection,
      isWayOpen: isOpen,
      server,
      received,
      slot,
      takenAtMs,
      notes,
      stop,
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  } catch (error) {
    stop(asError(error));
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * TLS vouches for each byte, and on one machine nothing is on the way. Elsewhere TCP's sums of 16 bits let some errors through, which is
 * worth the time of a SHA-256: 0.6 s a gigabyte on the thread that receives, and as much in the server.
 */
function isWayOpen({ host }: ServerAddress, { isEncrypted }: ReplicationConnection['facts']): boolean {
  const isLocal = host.startsWith('/') || /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  return !isEncrypted && !isLocal;
}

/** A physical backup holds all databases; one that is listed and not there is a mistake all the same. */
async function requireListed(connection: ReplicationConnection, listed: readonly string[]): Promise<void> {
  if (listed.length === 0 || connection.facts.database === undefined) return;
  const rows = await connection.query('SELECT datname FROM pg_catalog.pg_database');
  requireDatabases(
    listed,
    rows.map(({ datname = '' }) => datname),
  );
}

/**
 * Made before the backup begins, so that no WAL from its start on can go away. It vanishes with the connection, and with any
 * error that the server reports on it.
 */
async function temporarySlot(connection: ReplicationConnection, notes: EntryProblem[]): Promise<string | undefined> {
  const name = `lifeboat_backup_${randomBytes(6).toString('hex')}`;
  try {
    await connection.createSlot(name, { isTemporary: true, reservesWal: true });
    return name;
  } catch (error) {
    if (replicationFailure(error) !== 'no-free-slot') throw error;
    const message = 'no replication slot was free, so a busy server may have removed WAL before it was fetched';
    notes.push({ path: dataFolder, message });
    return undefined;
  }
}

/** What the server takes: kB, between two limits. */
function rateKilobytes(rateMaxBytes: number | undefined): number | undefined {
  if (rateMaxBytes === undefined) return undefined;
  return Math.min(1_048_576, Math.max(32, Math.floor(rateMaxBytes / 1024)));
}
