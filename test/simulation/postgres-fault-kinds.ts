// What may go wrong around a server that is protected: each fault happens while the server is written to, and is over when its
// function is. None of them may end in a hole that nobody knows of.
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import type { HalfOpenProxy } from '../support/half-open-proxy.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { killServer, type ProtectedServer } from './protected-server.ts';
import { Violation } from './simulated-repository.ts';
import type { SupervisedReceiver } from './supervised-receiver.ts';

export interface FaultyWorld {
  readonly random: Random;
  readonly cluster: Cluster;
  readonly at: ProtectedServer;
  /** Between the server and the receiver. */
  readonly proxy: HalfOpenProxy;
  readonly receiver: SupervisedReceiver;
  readonly spoolFolder: string;
  /** The spool lies on a file system of its own, which is filled with ease. */
  readonly isSpoolOnSmallDisk: boolean;
}

export const faultKinds = [
  'receiver killed',
  'receiver killed and its spool lost',
  'backup killed',
  'connection cut',
  'connection half-open',
  'repository away',
  'disk of the spool full',
  'slot dropped',
  'slot dropped and its WAL gone',
  'slot lost',
  'server killed',
  'clock jumped',
] as const;

export type FaultKind = (typeof faultKinds)[number];

type Fault = (world: FaultyWorld) => Promise<void>;

export const faults: Record<FaultKind, Fault> = {
  async 'receiver killed'({ receiver, random }) {
    for (let left = 1 + whole(random, 3); left > 0; left -= 1) {
      await receiver.kill();
      await sleep(random() * 500);
      receiver.start();
      await sleep(random() * 2500);
    }
  },
  async 'receiver killed and its spool lost'(world) {
    await world.receiver.kill();
    emptySpool(world);
    await sleep(world.random() * 500);
    world.receiver.start();
  },
  async 'backup killed'({ at, random }) {
    const started = Promise.withResolvers<ChildProcess>();
    const ended = runLifeboat(['backup', 'database'], { folder: at.folder, onStart: started.resolve });
    const child = await started.promise;
    const over = ended.then(() => undefined);
    await Promise.race([sleep(300 + random() * 3000), over]);
    child.kill('SIGKILL');
    await over;
  },
  async 'connection cut'({ proxy, random }) {
    for (let left = 1 + whole(random, 4); left > 0; left -= 1) {
      proxy.cut();
      await sleep(random() * 800);
    }
  },
  async 'connection half-open'({ proxy, random }) {
    proxy.darken();
    await sleep(500 + random() * 4000);
    proxy.lighten();
  },
  async 'repository away'(world) {
    const { at, receiver, random } = world;
    const [folder, away] = [join(at.folder, 'repository'), join(at.folder, 'repository-away')];
    renameSync(folder, away);
    await burn(world, 2 + whole(random, 6));
    if (random() < 0.5) {
      await receiver.kill();
      receiver.start();
    }
    await sleep(random() * 3000);
    if (existsSync(folder)) throw new Violation('a repository that was away was made anew');
    renameSync(away, folder);
  },
  async 'disk of the spool full'(world) {
    if (!world.isSpoolOnSmallDisk) return faults['repository away'](world);
    const filler = join(world.spoolFolder, '../filler');
    fillDisk(filler, whole(world.random, 2 ** 21));
    await burn(world, 1 + whole(world.random, 3));
    await sleep(500 + world.random() * 2500);
    if (world.random() < 0.3) {
      await world.receiver.kill();
      world.receiver.start();
      await sleep(1000);
    }
    rmSync(filler);
  },
  async 'slot dropped'(world) {
    await world.receiver.kill();
    await dropSlot(world);
    world.receiver.start();
  },
  async 'slot dropped and its WAL gone'(world) {
    await world.receiver.kill();
    await dropSlot(world);
    await forget(world);
    world.receiver.start();
  },
  async 'slot lost'(world) {
    await world.cluster.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'", 'SELECT pg_reload_conf()');
    await world.receiver.kill();
    await forget(world);
    await world.cluster.sql('ALTER SYSTEM RESET max_slot_wal_keep_size', 'SELECT pg_reload_conf()');
    world.receiver.start();
  },
  async 'server killed'({ cluster, random }) {
    await killServer(cluster.dataFolder);
    await sleep(random() * 1500);
    await cluster.start();
  },
  async 'clock jumped'({ receiver, random }) {
    const days = (random() - 0.5) * 60;
    receiver.setClock(days * 86_400_000);
    await sleep(random() * 1500);
    if (random() < 0.5) {
      await receiver.kill();
      receiver.start();
      await sleep(500);
    }
    receiver.setClock(0);
  },
};

function whole(random: Random, below: number): number {
  return Math.floor(random() * below);
}

/** The receiver takes its share meanwhile. */
function fillDisk(path: string, spareBytes: number): void {
  const block = Buffer.alloc(2 ** 20);
  const handle = openSync(path, 'w');
  try {
    for (;;) writeSync(handle, block);
  } catch (error) {
    if (errnoOf(error) !== 'ENOSPC') throw error;
    ftruncateSync(handle, Math.max(0, fstatSync(handle).size - spareBytes));
  } finally {
    closeSync(handle);
  }
}

/** Segments that are hardly used. */
async function burn({ cluster }: FaultyWorld, segments: number): Promise<void> {
  for (let left = segments; left > 0; left -= 1) {
    await cluster.sql("SELECT pg_logical_emit_message(false, 'burn', repeat('x', 5000))", 'SELECT pg_switch_wal()');
  }
}

/** The server removes what nothing holds it to keep. */
async function forget(world: FaultyWorld): Promise<void> {
  await burn(world, 5);
  await untilArchived(world);
  await world.cluster.sql('CHECKPOINT');
  await burn(world, 1);
  await world.cluster.sql('CHECKPOINT');
}

async function untilArchived({ cluster }: FaultyWorld): Promise<void> {
  const [row] = await cluster.sql('SELECT pg_walfile_name(pg_switch_wal()) AS name');
  for (;;) {
    const [archived] = await cluster.sql("SELECT coalesce(last_archived_wal, '') AS name FROM pg_stat_archiver");
    if (String(archived?.['name']) >= String(row?.['name'])) return;
    await sleep(100);
  }
}

/** A connection that was killed may hold it for a moment. */
async function dropSlot({ cluster }: FaultyWorld): Promise<void> {
  const named = "slot_name = 'lifeboat_database'";
  await cluster.sql(
    `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE ${named} AND active_pid IS NOT NULL`,
  );
  for (;;) {
    const query = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE ${named} AND active_pid IS NULL`;
    await cluster.sql(query);
    const [left] = await cluster.sql(`SELECT 1 FROM pg_replication_slots WHERE ${named}`);
    if (left === undefined) return;
    await sleep(50);
  }
}

function emptySpool({ spoolFolder }: FaultyWorld): void {
  rmSync(spoolFolder, { recursive: true, force: true });
}
