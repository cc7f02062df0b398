// The server of a standby: private, read-only, asked how far it is, and promoted when it is to take over.
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAppError } from '../../../base/errors.ts';
import type { ThrowAwayFolder } from '../../../base/throw-away-folder.ts';
import type { Feed } from '../../replay.ts';
import { type Connection, onlyRow } from '../connection.ts';
import { writeDurably } from '../recovery/data-folder.ts';
import type { StandbyCopy } from './standby-copy.ts';
import { controlOf, makeSocketFolder, socketPort, spawnRecovering } from '../recovery/recovering-server.ts';
import { quietSettings } from '../recovery/recovery-settings.ts';
import { RecoveryWatch } from '../recovery/recovery-watch.ts';
import { connectForMaintenance } from '../server.ts';
import type { ServerAddress } from '../server-address.ts';
import { stopServer } from '../server-process.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';

export interface StandbyServerOptions {
  readonly copy: StandbyCopy;
  readonly programFolder: string;
  /** Of this very run. */
  readonly work: Pick<ThrowAwayFolder, 'path' | 'guard'>;
  readonly feed: Feed;
}

export interface ReplayPlaceInLog {
  readonly replayed: Lsn;
  readonly lastCommitUs: number | undefined;
}

export interface StandbyServer extends AsyncDisposable {
  /** Whoever may enter the folder of its socket. */
  readonly address: ServerAddress;
  readonly watch: RecoveryWatch;
  /** Undefined while it does not answer. */
  place(signal: AbortSignal): Promise<ReplayPlaceInLog | undefined>;
  promote(): Promise<void>;
}

export async function startStandbyServer(options: StandbyServerOptions): Promise<StandbyServer> {
  const { copy, programFolder, work, feed } = options;
  const { dataFolder, account, major, superuser } = copy;
  const socketFolder = await makeSocketFolder({ work, account });
  await writeDurably(join(dataFolder, 'standby.signal'), new Uint8Array(), account);
  // The one that is overruled by `latest`: a failover is followed as the feed tells of it.
  const aim = { timeline: 1, stop: { kind: 'base' }, action: 'pause' } as const;
  const recovering = { dataFolder, programFolder, account, work, aim, feed, settings: settingsFor(major) };
  const child = await spawnRecovering(
    { ...recovering, onReplayed: () => undefined },
    await controlOf(dataFolder),
    socketFolder,
  );
  const watch = new RecoveryWatch(child, () => undefined);
  const address: ServerAddress = {
    host: socketFolder,
    port: socketPort,
    user: superuser,
    ssl: { mode: 'disable' },
  };
  const asking = new Asking(address);
  return {
    address,
    watch,
    place: (signal) => asking.place(signal),
    async promote() {
      const path = join(dataFolder, 'promote');
      await writeFile(path, '', { mode: 0o600 });
      if (account !== undefined) await chown(path, account.uid, account.gid);
      child.kill('SIGUSR1');
    },
    async [Symbol.asyncDispose]() {
      await asking[Symbol.asyncDispose]();
      await stopServer(child);
    },
  };
}

/** It stays, so restarts must be short, and it must survive a power cut. Whoever reads it does not hold up the replay for long. */
function settingsFor(major: number): (readonly [string, string])[] {
  return [
    ['recovery_target_timeline', 'latest'],
    ['wal_retrieve_retry_interval', '100ms'],
    ['checkpoint_timeout', '5min'],
    ['max_wal_size', '1GB'],
    ['max_standby_archive_delay', '30s'],
    ...quietSettings(major),
  ];
}

interface PlaceRow {
  readonly lsn: string | null;
  readonly timeUs: string | null;
}

const placeQuery = `
  SELECT pg_catalog.pg_last_wal_replay_lsn()::text AS lsn,
         (extract(epoch FROM pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint::text AS "timeUs"`;

/** Keeps a connection for as long as it holds. */
class Asking implements AsyncDisposable {
  readonly #address: ServerAddress;
  #connection: Connection | undefined;

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  async place(signal: AbortSignal): Promise<ReplayPlaceInLog | undefined> {
    try {
      this.#connection ??= await connectForMaintenance(this.#address, [], signal);
      const { lsn, timeUs } = onlyRow(await this.#connection.query<PlaceRow>(placeQuery));
      const replayed = parseLsn(lsn ?? '');
      if (replayed === undefined) return undefined;
      return { replayed, lastCommitUs: timeUs === null ? undefined : Number(timeUs) };
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      await this[Symbol.asyncDispose](); // It starts, or stops.
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.[Symbol.asyncDispose]();
  }
}
