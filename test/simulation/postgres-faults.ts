// A server that is protected, and everything that may go wrong around it, one fault after another by seed. Each must end in a stream
// that goes on or in a hole that is named; each instant that is said to be reachable must come back row for row, and every other one
// must be refused before anything is written.
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { halfOpenProxy } from '../support/half-open-proxy.ts';
import { makeCluster } from '../support/postgres-cluster.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { goBack } from './going-back.ts';
import { damage } from './journal-damage.ts';
import { startLoad, type Sent } from './ledger-load.ts';
import { ledgerSchema } from './ledger.ts';
import { faultKinds, faults, type FaultKind } from './postgres-fault-kinds.ts';
import { gapsOf, noFaultCounts, type FaultCounts, type History } from './protected-history.ts';
import { protectServer } from './protected-server.ts';
import { Violation } from './simulated-repository.ts';
import { superviseReceiver } from './supervised-receiver.ts';

export interface FaultsOptions {
  readonly major: number;
  readonly seed: number;
  /** Which, in this order; random ones if absent. */
  readonly kinds?: readonly FaultKind[] | undefined;
  /** How many random ones. */
  readonly count: number;
  /** Instants that are gone back to before the repository is damaged, and again afterwards. */
  readonly recoveries: number;
  readonly tell?: (line: string) => void;
}

const spoolMaxBytes = 80 * 2 ** 20;
const spoolDiskBytes = 128 * 2 ** 20;
const settleMaxMs = 120_000;
/** Rejects with a `Violation` that names the seed. */
export async function runFaults(options: FaultsOptions): Promise<FaultCounts> {
  const { major, seed } = options;
  try {
    return await live(options);
  } catch (error) {
    const stack = error instanceof Violation || !(error instanceof Error) ? '' : ` ${error.stack}`;
    throw new Violation(`PostgreSQL ${major}, faults with seed ${seed}: ${messageOf(error)}${stack}`, { cause: error });
  }
}

async function live(options: FaultsOptions): Promise<FaultCounts> {
  const { major, seed } = options;
  const random = seededRandom(seed);
  await using folder = await temporaryFolder();
  chmodSync(folder.path, 0o755);
  const archive = makeArchive(folder.path);
  await using cluster = await makeCluster(
    major,
    'archive_mode = on',
    `archive_command = 'cp %p ${archive}/%f'`,
    "max_wal_size = '64MB'",
    "wal_sender_timeout = '3s'",
  );
  await cluster.start();
  await cluster.sql(...ledgerSchema);
  await using at = await protectServer({ folder: folder.path, port: cluster.address.port });
  await using proxy = await halfOpenProxy(cluster.address);
  const isSpoolOnSmallDisk = canMount && random() < 0.5;
  const disk = join(folder.path, 'disk');
  using _ = isSpoolOnSmallDisk ? mountSmallDisk(disk, `size=${spoolDiskBytes}`) : makeFolder(disk);
  const spoolFolder = join(disk, 'spool');
  await using receiver = superviseReceiver({
    repositoryFolder: join(folder.path, 'repository'),
    port: proxy.port,
    spool: { folder: spoolFolder, maxBytes: spoolMaxBytes },
    intervalMs: 500,
  });
  const sent: Sent = { firstId: 1, transactions: [], points: [] };
  const counts = noFaultCounts();
  const tell = options.tell ?? ((): void => undefined);
  const world = { random, cluster, at, proxy, receiver, spoolFolder, isSpoolOnSmallDisk };
  const history: History = { ...world, options, sent, archive, counts, tell, knownGaps: 0, copies: 0 };
  receiver.start();
  const load = startLoad({ address: cluster.address, seed, sent, writers: 3, pauseMsMax: 60 });
  try {
    await at.succeed('backup', 'database');
    for (const kind of options.kinds ?? pick(random, options.count)) await sufferOne(history, kind);
  } finally {
    await load[Symbol.asyncDispose]();
  }
  await settle(history);
  await receiver.kill();
  receiver.check();
  await goBack(history);
  await damage(history);
  return counts;
}

function pick(random: Random, count: number): FaultKind[] {
  return Array.from({ length: count }, () => faultKinds[Math.floor(random() * faultKinds.length)] ?? 'receiver killed');
}

function makeArchive(folder: string): string {
  const archive = join(folder, 'archive');
  mkdirSync(archive);
  chmodSync(archive, 0o777);
  return archive;
}

function makeFolder(path: string): Disposable {
  mkdirSync(path);
  return { [Symbol.dispose]: () => undefined };
}

async function sufferOne(history: History, kind: FaultKind): Promise<void> {
  const { counts, tell, random, at, receiver } = history;
  counts.faults += 1;
  try {
    await sleep(random() * 700);
    await faults[kind](history);
    receiver.check();
    await settle(history);
  } catch (error) {
    const words = receiver.words.slice(-12).join('\n  ');
    throw new Violation(`${kind}: ${messageOf(error)}\n  ${words}`, { cause: error });
  }
  const gaps = await gapsOf(history);
  const found = gaps.length - history.knownGaps;
  tell(`${kind}: ${found > 0 ? `${found} named gaps` : 'went on'}`);
  counts.gaps += Math.max(0, found);
  history.knownGaps = gaps.length;
  // Behind a gap only a new base helps; without one, sooner or later there is one as well.
  if (found > 0 || random() < 0.2) await at.succeed('backup', 'database');
}

/** Waits until all that was written is kept. */
async function settle(history: History): Promise<void> {
  const { cluster, at, receiver } = history;
  const [row] = await cluster.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  const end = parseLsn(String(row?.['lsn'])) ?? 0n;
  await at.untilKept(1, end, settleMaxMs);
  // Also what was overtaken: whoever is killed next must not leave it behind.
  await gapsOf(history);
  receiver.check();
}
