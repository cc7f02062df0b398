// A PostgreSQL server whose life a test decides: stopped, killed and started again, copied, followed by a standby, promoted. Anybody on
// this machine may connect for as long as the test runs.
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { appendFile, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { defaultPhysicalSettings } from '../../src/model/component.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';
import { sharedTemplate } from './cluster-templates.ts';
import {
  collectMessages,
  freePort,
  hasEnded,
  reachablePrograms,
  serverAccount,
  spawnServerProgram,
  stopServer,
  type ProgramPlace,
} from '../../src/sources/postgres/server-process.ts';
import { findServers } from '../../src/sources/postgres/server-programs.ts';

const never = new AbortController().signal;

export interface Cluster extends AsyncDisposable {
  readonly address: ServerAddress;
  readonly dataFolder: string;
  start(): Promise<void>;
  /** `fast` lets wal senders finish; `crash` kills the server and all its children. */
  stop(mode: 'fast' | 'crash'): Promise<void>;
  /** Asks for a fast shutdown; resolves with the server's end. */
  beginStop(): Promise<void>;
  sql(...statements: readonly string[]): Promise<Record<string, unknown>[]>;
  /** The same data in another server, which is not started. This one must be stopped. */
  copy(): Promise<Cluster>;
  /** A copy that follows this server, started. This one is stopped and started for it. */
  standby(): Promise<Cluster>;
  promote(): Promise<void>;
  /** Settings for the next start. */
  configure(...lines: readonly string[]): Promise<void>;
  source(changes?: Partial<PostgresOptions>): PostgresOptions;
  messages(): string;
}

/** A major, or one whose WAL comes in other segments than of 16 MiB. */
export type ClusterKind = number | { readonly major: number; readonly walSegmentMegabytes: number };

/** Not started yet. */
export async function makeCluster(kind: ClusterKind, ...settings: readonly string[]): Promise<Cluster> {
  const place = await makePlace(kind);
  return clusterOf(place, settings);
}

/** As `makeCluster`, in a tenth of its time: copies of one system, with the same identifier. */
export async function alikeCluster(major: number, ...settings: readonly string[]): Promise<Cluster> {
  const place = await emptyPlace(major);
  const { folder } = place;
  const template =
    (await sharedTemplate(major, async () => (await makePlace(major)).folder)) ?? (await ownTemplate(major));
  await copyFolder(join(template, 'data'), join(folder, 'data'));
  return clusterOf(place, settings);
}

/** Outside of a run of the tests: of this process, until it ends. */
function ownTemplate(major: number): Promise<string> {
  const known = ownTemplates.get(major);
  if (known !== undefined) return known;
  const made = makePlace(major).then(({ folder }) => {
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return folder;
  });
  ownTemplates.set(major, made);
  return made;
}

const ownTemplates = new Map<number, Promise<string>>();

async function makeFolder(account: ProgramPlace['account']): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-cluster-'));
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  return folder;
}

async function emptyPlace(major: number): Promise<ProgramPlace> {
  const programs = (await findServers((process.env['PATH'] ?? '').split(':'), never)).find(
    (one) => one.major === major,
  );
  if (programs === undefined) throw new Error(`no PostgreSQL ${major} here`);
  const account = serverAccount();
  const folder = await makeFolder(account);
  return { programFolder: await reachablePrograms(programs, folder, account), folder, account };
}

/** With a data directory in it. */
async function makePlace(kind: ClusterKind): Promise<ProgramPlace> {
  const { major, walSegmentMegabytes = 16 } = typeof kind === 'number' ? { major: kind } : kind;
  const place = await emptyPlace(major);
  const { folder } = place;
  const flags = [
    '-D',
    join(folder, 'data'),
    '-U',
    'lifeboat',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale',
    'C',
    '--no-sync',
    `--wal-segsize=${walSegmentMegabytes}`,
  ];
  const child = spawnServerProgram(place, 'initdb', flags);
  const messages = collectMessages(child);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`initdb: ${messages()}`);
  return place;
}

async function clusterOf(place: ProgramPlace, settings: readonly string[]): Promise<Cluster> {
  const { folder } = place;
  const cluster = await clusterIn(place, join(folder, 'data'), () => rm(folder, { recursive: true, force: true }));
  await cluster.configure(
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'fsync = off',
    'max_wal_senders = 10',
    "max_wal_size = '4GB'",
    'wal_keep_size = 0',
    'hot_standby = on',
    ...settings,
  );
  return cluster;
}

async function clusterIn(place: ProgramPlace, dataFolder: string, remove: () => Promise<void>): Promise<Cluster> {
  const address: ServerAddress = {
    host: '127.0.0.1',
    port: await freePort(),
    user: 'lifeboat',
    ssl: { mode: 'disable' },
  };
  let child: ChildProcess | undefined;
  let messages = (): string => '';
  const copies: Cluster[] = [];

  const cluster: Cluster = {
    address,
    dataFolder,
    messages: () => messages(),
    async start() {
      child = spawnServerProgram(place, 'postgres', ['-D', dataFolder, '-p', String(address.port)]);
      messages = collectMessages(child);
      for (;;) {
        if (hasEnded(child)) throw new Error(`the server ended: ${messages()}`);
        if (await isReady(address)) return;
        await sleep(30);
      }
    },
    async stop(mode) {
      if (child === undefined || hasEnded(child)) return;
      if (mode === 'fast') return stopServer(child);
      const ended = once(child, 'exit');
      child.kill('SIGQUIT');
      await ended;
    },
    async beginStop() {
      if (child === undefined || hasEnded(child)) return;
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
    },
    async sql(...statements) {
      await using connection = await connect(address, 'postgres', never);
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = await connection.query(statement);
      return rows;
    },
    async copy() {
      const folder = await makeFolder(place.account);
      const data = join(folder, 'data');
      await copyFolder(dataFolder, data);
      const made = await clusterIn(place, data, () => rm(folder, { recursive: true, force: true }));
      copies.push(made);
      return made;
    },
    async standby() {
      await cluster.stop('fast');
      const made = await cluster.copy();
      await cluster.start();
      await made.configure(`primary_conninfo = 'host=127.0.0.1 port=${address.port} user=lifeboat'`);
      await writeAs(join(made.dataFolder, 'standby.signal'), '', place);
      await made.start();
      return made;
    },
    async promote() {
      await cluster.sql('SELECT pg_promote(true, 60)');
      for (;;) {
        const [row] = await cluster.sql('SELECT pg_is_in_recovery() AS recovers');
        if (row?.['recovers'] === false) return;
        await sleep(30);
      }
    },
    async configure(...lines) {
      await appendFile(join(dataFolder, 'postgresql.auto.conf'), lines.map((line) => `${line}\n`).join(''));
    },
    source: (changes = {}) => ({
      ...address,
      databases: [],
      lockWaitMaxMs: 30_000,
      programFolders: [],
      method: 'logical',
      physical: defaultPhysicalSettings,
      slot: 'lifeboat_test',
      clock: systemClock,
      ...changes,
    }),
    async [Symbol.asyncDispose]() {
      for (const copy of copies) await copy[Symbol.asyncDispose]();
      await cluster.stop('crash');
      await remove();
    },
  };
  return cluster;
}

async function isReady(address: ServerAddress): Promise<boolean> {
  try {
    await using connection = await connect(address, 'postgres', never);
    await connection.query('SELECT 1');
    return true;
  } catch {
    return false; // Not yet.
  }
}

/** With owners and modes. */
async function copyFolder(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['--archive', from, to]);
  await rm(join(to, 'postmaster.pid'), { force: true });
}

async function writeAs(path: string, text: string, { account }: ProgramPlace): Promise<void> {
  await writeFile(path, text);
  if (account !== undefined) await chown(path, account.uid, account.gid);
}
