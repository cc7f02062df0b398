// One disaster, told by its seed: a server under load is backed up and received by the real program, then server and receiver are
// killed and the spool is lost. It must come back at any instant, row for row; and again after it went on from there and was lost anew.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { recoveryReader } from '../../src/operations/restore/recovery-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { readPhysicalFacts, type PhysicalFacts } from '../../src/sources/postgres/physical/facts.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';
import { formatLsn, parseLsn, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { historyName } from '../../src/sources/postgres/wal/segment-name.ts';
import { parseTimelineHistory } from '../../src/sources/postgres/wal/timeline-history.ts';
import { makeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { noSignal } from '../support/repository.ts';
import { startRestored, type RestoredServer } from '../support/restored-server.ts';
import type { S3Server } from '../support/s3-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { readCommitLog } from './commit-log.ts';
import { ledgerSchema } from './ledger.ts';
import { startLoad, type Load, type Sent } from './ledger-load.ts';
import {
  aimAtEnd,
  checkSoundness,
  committedBy,
  compareWithModel,
  endsOf,
  randomAim,
  type Aim,
  type Line,
  type Reachable,
} from './ledger-truth.ts';
import { killServer, protectServer, type ProtectedServer, type Receiver } from './protected-server.ts';
import { Violation } from './simulated-repository.ts';

export interface DisasterOptions {
  readonly major: number;
  readonly seed: number;
  /** Random instants after the first disaster; after the second a third of them on each of both timelines. */
  readonly recoveries: number;
  /** A copy takes over and is lost as well. */
  readonly goesOn: boolean;
  /** A repository in a bucket; on disk if absent. */
  readonly s3?: S3Server | undefined;
  /** Whether what was acknowledged `lossMaxMs` before the end must be there: no question for a machine that others keep busy. */
  readonly isLossTimed: boolean;
  readonly tell?: (line: string) => void;
}

export interface DisasterCounts {
  recoveries: number;
  transactions: number;
  /** The oldest acknowledged transaction that was lost, before the end of its server. */
  lossMsMax: number;
}

const intervalMs = 1000;
const lossMaxMs = intervalMs + 500;
const summaries = (major: number): string[] => (major >= 17 ? ['summarize_wal = on'] : []);

interface Act {
  readonly options: DisasterOptions;
  readonly random: Random;
  readonly at: ProtectedServer;
  readonly counts: DisasterCounts;
}

/** Rejects with a `Violation` that names the seed. */
export async function runDisaster(options: DisasterOptions): Promise<DisasterCounts> {
  const { major, seed } = options;
  const counts: DisasterCounts = { recoveries: 0, transactions: 0, lossMsMax: 0 };
  try {
    await using folder = await temporaryFolder();
    await using cluster = await makeCluster(major, "wal_keep_size = '4GB'", ...summaries(major));
    await cluster.start();
    await using at = await protectServer({
      folder: folder.path,
      port: cluster.address.port,
      s3: options.s3,
      intervalMs,
    });
    const act: Act = { options, random: seededRandom(seed), at, counts };
    await cluster.sql(...ledgerSchema);
    const first = await firstDisaster(act, cluster);
    await proveTruth(cluster, first);
    await recoverOften(act, first, options.recoveries);
    if (options.goesOn) await secondDisaster(act, first);
  } catch (error) {
    const kind = error instanceof Violation ? '' : ` ${error instanceof Error ? error.stack : ''}`;
    throw new Violation(`PostgreSQL ${major}, seed ${seed}: ${messageOf(error)}${kind}`, { cause: error });
  }
  return counts;
}

interface Place {
  readonly address: ServerAddress;
  readonly dataFolder: string;
}

async function firstDisaster(act: Act, { address, dataFolder }: Place): Promise<Line> {
  const { at, options, random } = act;
  const sent: Sent = { firstId: 1, transactions: [], points: [] };
  const receiver = await at.receive();
  const load = startLoad({ address, seed: options.seed, sent });
  try {
    await grow(load, 50);
    await at.untilKept(1, 1n);
    await at.succeed('backup', 'database');
    await grow(load, 150 + random() * 200);
    await at.succeed('backup', 'database');
    await expectTypes(act);
    await grow(load, 150 + random() * 200);
    return await destroy(act, { dataFolder, receiver, sent, timeline: 1 });
  } finally {
    await load[Symbol.asyncDispose]();
  }
}

async function grow(load: Load, by: number): Promise<void> {
  const until = load.count() + by;
  while (load.count() < until) await sleep(20);
}

interface Doomed {
  readonly dataFolder: string;
  readonly receiver: Receiver;
  readonly sent: Sent;
  readonly timeline: number;
  readonly parent?: Line['parent'];
}

/** Its disk is found, and it starts by itself once more: it must hold what is compared with, or nothing else is worth anything. */
async function proveTruth(cluster: Cluster, line: Line): Promise<void> {
  await cluster.start();
  await compareWithModel((text) => cluster.sql(text), committedBy(line, aimAtEnd(), line.log.end));
  await cluster.stop('crash');
}

/** Nothing is waited for: what was under way is lost, and what was promised is looked for. */
async function destroy(act: Act, { dataFolder, receiver, sent, timeline, parent }: Doomed): Promise<Line> {
  const { at, options, counts } = act;
  await sleep(act.random() * 1500);
  const shipped = await at.keptTo(timeline);
  const killedMs = performance.now();
  await Promise.all([killServer(dataFolder), at.kill(receiver)]);
  at.throwSpoolAway();
  const log = readCommitLog({ major: options.major, timeline, folders: [join(dataFolder, 'pg_wal')] });
  const line: Line = { timeline, sent, log, parent };
  const kept = await at.keptTo(timeline);
  if (kept < shipped) throw new Violation(`${formatLsn(shipped)} was shipped, ${formatLsn(kept)} is kept`);
  const isKept = new Set(endsOf(line).flatMap((one) => (one.end.endLsn <= kept && one.sent ? [one.sent.id] : [])));
  let lostMs = 0;
  for (const { id, committed } of sent.transactions) {
    if (committed === undefined || committed.atMs > killedMs) continue;
    counts.transactions += 1;
    if (!isKept.has(id)) lostMs = Math.max(lostMs, killedMs - committed.atMs);
  }
  counts.lossMsMax = Math.max(counts.lossMsMax, lostMs);
  options.tell?.(`timeline ${timeline}: kept up to ${formatLsn(kept)}, lost the last ${Math.round(lostMs)} ms`);
  if (options.isLossTimed && lostMs > lossMaxMs) throw new Violation(`a commit ${Math.round(lostMs)} ms old was lost`);
  return line;
}

/** An increment where the server can make one. */
async function expectTypes({ at, options }: Act): Promise<void> {
  const types = (await basesOf(at)).map(({ type }) => type).join();
  const wanted = options.major >= 17 ? 'full,incremental' : 'full,full';
  if (types !== wanted) throw new Violation(`the backups are ${types} instead of ${wanted}`);
}

async function basesOf({ repository }: ProtectedServer): Promise<PhysicalFacts[]> {
  await using pool = new WorkerPool(repository);
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  const bases: PhysicalFacts[] = [];
  for (const snapshot of await loadSnapshots(repository, noSignal)) {
    bases.push(readPhysicalFacts(await recoveryReader({ indexed, pool, snapshot }).facts(noSignal)));
  }
  return bases;
}

/** From where the oldest backup is consistent to the end of what is kept, which may be that of a backup: what lies before it and was not
    received is in nothing but the backup, and is no instant to go back to. */
async function reachableOf({ at }: Act, { timeline }: Line, from: Lsn = 0n): Promise<Reachable> {
  const bases = await basesOf(at);
  const places = [from, ...bases.slice(0, 1).map(consistentLsn)];
  const own = bases.filter((base) => base.timeline === timeline);
  const receivedToLsn = await at.keptTo(timeline);
  return {
    fromLsn: places.reduce((latest, lsn) => (lsn > latest ? lsn : latest)),
    fromUs: bases[0]?.consistentTimeUs ?? 0,
    receivedToLsn,
    toLsn: own.map(consistentLsn).reduce((latest, lsn) => (lsn > latest ? lsn : latest), receivedToLsn),
  };
}

const consistentLsn = (facts: PhysicalFacts): Lsn => parseLsn(facts.consistentLsn) ?? 0n;

async function recoverOften(act: Act, line: Line, recoveries: number): Promise<void> {
  // Before its fork a line is its parent.
  const reachable = await reachableOf(act, line, line.parent?.forkLsn);
  await using end = await recover(act, line, { aim: aimAtEnd(), reachable });
  for (let left = recoveries; left > 0; left -= 1) {
    const aim = randomAim(line, reachable, act.random);
    if (aim === undefined) throw new Violation('there is no instant to go back to');
    await using recovered = await recover(act, line, { aim, reachable });
    recovered.forget();
  }
  end.forget();
}

interface Recovered extends AsyncDisposable {
  readonly server: RestoredServer;
  readonly dataFolder: string;
  /** Removes it once it is closed. */
  forget(): void;
}

/** By the real program, onto an empty folder; then it is started as anybody would. */
async function recover(
  { at, options, counts }: Act,
  line: Line,
  { aim, reachable }: { readonly aim: Aim; readonly reachable: Reachable },
): Promise<Recovered> {
  counts.recoveries += 1;
  const what = `recovery ${counts.recoveries} of timeline ${line.timeline} with ${aim.options.join(' ')}`;
  const workFolder = join(at.folder, `copy-${counts.recoveries}`);
  const dataFolder = join(workFolder, 'data');
  const timeline = ['--timeline', String(line.timeline)];
  await at.succeed('restore', 'database', '--to', dataFolder, ...timeline, ...aim.options);
  const server = await startRestored(options.major, { dataFolder, workFolder });
  let isForgotten = false;
  try {
    await using connection = await server.connect('postgres');
    await compareWithModel((text) => connection.query(text), committedBy(line, aim, reachable.toLsn));
    const isChecked = await checkSoundness((text) => connection.query(text));
    options.tell?.(`${what}: equal to the row${isChecked ? ', sound' : ''}`);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw new Violation(`${what}: ${messageOf(error)}`, { cause: error });
  }
  return {
    server,
    dataFolder,
    forget: () => void (isForgotten = true),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      if (isForgotten) rmSync(workFolder, { recursive: true, force: true });
    },
  };
}

/** A copy takes over at some instant, goes on with a receiver of its own, and is lost as well: both ways lead back. */
async function secondDisaster(act: Act, first: Line): Promise<void> {
  const { at, options, random } = act;
  const reachable = await reachableOf(act, first);
  const aim = randomAim(first, reachable, random);
  if (aim === undefined) throw new Violation('there is no instant to go back to');
  await using promoted = await recover(act, first, { aim, reachable });
  const { dataFolder, server } = promoted;
  const history = parseTimelineHistory(2, readFileSync(join(dataFolder, 'pg_wal', historyName(2))));
  const forkLsn = history.ancestors.at(-1)?.switchLsn ?? 0n;
  at.serverAt(server.address.port);
  const receiver = await at.receive();
  const sent: Sent = { firstId: 1_000_001, transactions: [], points: [] };
  const load = startLoad({ address: server.address, seed: options.seed + 1, sent });
  let second: Line;
  try {
    await grow(load, 100);
    // A server that is lost before its receiver has begun has no second timeline to go back to.
    await at.untilKept(2, forkLsn + 1n);
    if (random() < 0.5) await at.succeed('backup', 'database');
    await grow(load, 100);
    second = await destroy(act, { dataFolder, receiver, sent, timeline: 2, parent: { line: first, forkLsn } });
  } finally {
    await load[Symbol.asyncDispose]();
  }
  const each = Math.ceil(options.recoveries / 3);
  await recoverOften(act, second, each);
  await recoverOften(act, first, each);
}
