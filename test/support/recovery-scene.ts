// A server under load whose WAL is received and which is backed up now and then; and copies of it at any instant.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { feedFrom } from '../../src/operations/restore/feed.ts';
import { recoveryReader } from '../../src/operations/restore/recovery-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import type { RecoveryTarget, TimelineChoice } from '../../src/model/recovery-target.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { receive } from '../../src/sources/postgres/receiver/receive.ts';
import { replayRestore } from '../../src/sources/postgres/recovery/replay-restore.ts';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { ReplayChoice, ReplayOptions, ReplayPlace } from '../../src/sources/replay.ts';
import type { RecoveryReader, RestoreDecision, RestoreOutcome } from '../../src/sources/source.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { recordEvents, until } from './journal-events.ts';
import { memoryJournal, type MemoryJournal } from './memory-journal.ts';
import { makeCluster, type Cluster, type ClusterKind } from './postgres-cluster.ts';
import { createRepository, noSignal } from './repository.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface RecoveryScene extends AsyncDisposable {
  /** Open to every account. */
  readonly folder: string;
  readonly cluster: Cluster;
  readonly journal: MemoryJournal;
  /** Returns the id of the snapshot. */
  backUp(from?: Cluster): Promise<string>;
  /** Receives from this server until it is called again or the scene ends. */
  receiveFrom(cluster: Cluster | undefined): Promise<void>;
  /** All that the server has written is kept. */
  received(from?: Cluster): Promise<void>;
  place(): Promise<ReplayPlace>;
  choose(target: RecoveryTarget, how?: Choosing): Promise<ReplayChoice>;
  decide(choice: ReplayChoice, to: string, wish?: Partial<ReplayOptions>): Promise<RestoreDecision>;
  recover(
    target: RecoveryTarget,
    to: string,
    wish?: Partial<ReplayOptions> & { timeline?: TimelineChoice },
  ): Promise<RestoreOutcome>;
  reader(snapshot: string): Promise<RecoveryReader>;
}

export interface Choosing {
  readonly timeline?: TimelineChoice | undefined;
  /** All that is kept if absent. */
  readonly place?: ReplayPlace | undefined;
}

export const silent = { step: (): void => undefined, bytes: (): void => undefined };

export async function recoveryScene(kind: ClusterKind, ...settings: readonly string[]): Promise<RecoveryScene> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryFolder());
  chmodSync(folder, 0o755);
  const cluster = stack.use(
    await makeCluster(kind, 'track_commit_timestamp = on', "wal_keep_size = '1GB'", ...settings),
  );
  await cluster.start();
  const repository: Repository = await createRepository(folder);
  const pool = stack.use(new WorkerPool(repository));
  const journal = memoryJournal();
  const source = (from: Cluster) => ({
    ...from.source({ method: 'physical' }),
    programFolders: (process.env['PATH'] ?? '').split(':'),
  });
  let stop = new AbortController();
  let receiving: Promise<void> = Promise.resolve();
  stack.defer(async () => {
    stop.abort();
    await receiving;
  });

  const scene: Omit<RecoveryScene, typeof Symbol.asyncDispose> = {
    folder,
    cluster,
    journal,
    async backUp(from = cluster) {
      const options = { component: 'database', programVersion: 'test', signal: noSignal };
      const result = await backup(repository, postgresSource(source(from)), options);
      return String(result.snapshot.id);
    },
    async receiveFrom(from) {
      stop.abort();
      await receiving;
      stop = new AbortController();
      if (from === undefined) return;
      receiving = receive({ source: from.source(), target: journal, events: recordEvents() }, stop.signal);
    },
    async received(from = cluster) {
      const [row] = await from.sql(
        'SELECT pg_current_wal_flush_lsn()::text AS lsn, left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) AS timeline',
      );
      const end = parseLsn(String(row?.['lsn'])) ?? 0n;
      const timeline = Number.parseInt(String(row?.['timeline']), 16);
      await until(async () =>
        (await journal.branches(noSignal)).some(
          (one) => one.about['timeline'] === timeline && lsnOf(one.end, one.segmentBytes) >= end,
        ),
      );
    },
    async place() {
      const snapshots = await loadSnapshots(repository, noSignal);
      const bases = snapshots.map((snapshot) => ({
        id: String(snapshot.id),
        journal: snapshot.lifeboat?.journal,
        facts: async (signal: AbortSignal) => (await readerOf(snapshot)).facts(signal),
      }));
      return { bases, journal: journal.reader };
    },
    async choose(target, { timeline: given, place } = {}) {
      const timeline: TimelineChoice = given ?? { kind: 'latest' };
      return replayRestore(source(cluster)).choose(place ?? (await scene.place()), { target, timeline }, noSignal);
    },
    async decide(choice, to, wish = {}) {
      const options: ReplayOptions = {
        to,
        action: 'promote',
        isStarted: false,
        isOnlyPrepared: false,
        places: [],
        openFeed: feedFrom({ clock: systemClock, random: systemRandom, sleep: systemSleep }),
        ...wish,
      };
      return choice.decide(await scene.reader(choice.base), options, noSignal);
    },
    async recover(target, to, { timeline, ...wish } = {}) {
      const decision = await scene.decide(await scene.choose(target, { timeline }), to, wish);
      const failed = decision.findings.find(({ outcome }) => outcome === 'failed');
      if (failed !== undefined) throw new Error(failed.message);
      return decision.execute(silent, noSignal);
    },
    async reader(id) {
      const snapshot = (await loadSnapshots(repository, noSignal)).find((one) => String(one.id) === id);
      if (snapshot === undefined) throw new Error(`no snapshot ${id}`);
      return readerOf(snapshot);
    },
  };
  async function readerOf(snapshot: StoredSnapshot): Promise<RecoveryReader> {
    const indexed = { repository, index: await loadIndex(repository, noSignal) };
    return recoveryReader({ indexed, pool, snapshot });
  }
  return { ...scene, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Rows that were committed by an instant, by the server's own record of its commits. */
export async function idsCommittedBy(cluster: Cluster, timeUs: number): Promise<number[]> {
  const rows = await cluster.sql(
    `SELECT id FROM ledger WHERE (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint <= ${timeUs} ORDER BY id`,
  );
  return rows.map(({ id }) => Number(id));
}

export interface Writing extends AsyncDisposable {
  readonly count: () => number;
}

/** One row a commit, two writers at a time, until it is closed. */
export function writeLedger(cluster: Cluster): Writing {
  const over = new AbortController();
  let count = 0;
  const write = async (): Promise<void> => {
    await using connection = await connect(cluster.address, 'postgres', noSignal);
    while (!over.signal.aborted) {
      await connection.query(`INSERT INTO ledger (note) SELECT repeat('x', ${(count * 37) % 2000})`);
      count += 1;
    }
  };
  const writers = [write(), write()];
  return {
    count: () => count,
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(writers);
    },
  };
}

export const ledger = 'CREATE TABLE ledger (id bigserial PRIMARY KEY, note text)';

export function dataIn(folder: string, name: string): string {
  return join(folder, name);
}
