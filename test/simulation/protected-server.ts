// A server that the real program protects: an application folder with its lifeboat.yaml, a repository on disk or in a bucket, a
// receiver as a process of its own, backups and recoveries as commands.
import type { ChildProcess } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatLsn, lsnOf, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import { initRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { KeptBranch } from '../../src/sources/journal.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { jsonLines, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { cheapScrypt, noSignal, testPassword } from '../support/repository.ts';
import type { S3Server } from '../support/s3-server.ts';
import { walSegmentBytes } from './commit-log.ts';
import { Violation } from './simulated-repository.ts';

export interface Receiver {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
}

export interface ProtectedServer extends AsyncDisposable {
  /** Of the application: lifeboat.yaml, the repository if it is on disk, the spool. */
  readonly folder: string;
  readonly repository: Repository;
  /** Where the server is from now on. */
  serverAt(port: number): void;
  run(...args: readonly string[]): Promise<Ran>;
  /** Rejects unless it ends with 0 or 3. Returns its summary. */
  succeed(...args: readonly string[]): Promise<Record<string, unknown>>;
  receive(): Promise<Receiver>;
  /** With SIGKILL. */
  kill(receiver: Receiver): Promise<void>;
  throwSpoolAway(): void;
  keptBranch(timeline: number): Promise<KeptBranch | undefined>;
  /** End of what the repository has of a timeline without regard to holes. */
  keptTo(timeline: number): Promise<Lsn>;
  untilKept(timeline: number, lsn: Lsn, maxMs?: number): Promise<void>;
}

export interface ProtectedOptions {
  readonly folder: string;
  readonly port: number;
  /** On disk if absent. */
  readonly s3?: S3Server | undefined;
  readonly intervalMs?: number;
}

export async function protectServer({
  folder,
  port,
  s3,
  intervalMs = 1000,
}: ProtectedOptions): Promise<ProtectedServer> {
  chmodSync(folder, 0o755);
  const { store, settings } = await makeStore(folder, s3);
  const options = {
    password: testPassword,
    signal: noSignal,
    scryptCost: cheapScrypt,
    chunkerDefault: 'gear' as const,
  };
  const repository = { ...(await initRepository(store, options)), lockSettings: { settleMs: 0 } };
  const receivers = new Set<Receiver>();

  const protectedServer: ProtectedServer = {
    folder,
    repository,
    serverAt(at) {
      const database = {
        type: 'postgres',
        url: `postgres://lifeboat@127.0.0.1:${at}/?sslmode=disable`,
        method: 'physical',
        journal: { interval: `${intervalMs}ms`, spool: './spool' },
      };
      // JSON is YAML.
      const text = { application: 'shop', repositories: { main: settings }, components: { database } };
      writeFileSync(join(folder, 'lifeboat.yaml'), JSON.stringify(text));
    },
    run: (...args) => runLifeboat(args, { folder }),
    async succeed(...args) {
      const ran = await protectedServer.run(...args, '--json');
      if (ran.exitCode !== 0 && ran.exitCode !== 3) throw new Violation(failureOf(args, ran));
      return jsonLines(ran).at(-1) ?? {};
    },
    async receive() {
      const started = Promise.withResolvers<ChildProcess>();
      const ended = runLifeboat(['journal', 'run', 'database', '--json'], { folder, onStart: started.resolve });
      const receiver = { child: await started.promise, ended };
      receivers.add(receiver);
      return receiver;
    },
    async kill(receiver) {
      receiver.child.kill('SIGKILL');
      const ran = await receiver.ended;
      receivers.delete(receiver);
      // One that ended by itself has a reason.
      if (ran.exitCode !== -2) throw new Violation(failureOf(['journal', 'run'], ran));
    },
    throwSpoolAway: () => rmSync(join(folder, 'spool'), { recursive: true, force: true }),
    async keptBranch(timeline) {
      const branches = await readJournals(repository).branches(noSignal);
      return branches.findLast(({ about }) => about['timeline'] === timeline);
    },
    async keptTo(timeline) {
      const branch = await protectedServer.keptBranch(timeline);
      return branch === undefined ? 0n : lsnOf(branch.end, walSegmentBytes);
    },
    async untilKept(timeline, lsn, maxMs = 120_000) {
      const startMs = performance.now();
      while ((await protectedServer.keptTo(timeline)) < lsn) {
        if (performance.now() - startMs > maxMs)
          throw new Violation(`timeline ${timeline} is not kept up to ${formatLsn(lsn)} after ${maxMs} ms`);
        await sleep(100);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { child, ended } of receivers) {
        child.kill('SIGKILL');
        await ended;
      }
      await store[Symbol.asyncDispose]();
    },
  };
  protectedServer.serverAt(port);
  return protectedServer;
}

function failureOf(args: readonly string[], { exitCode, stdout, stderr }: Ran): string {
  return `lifeboat ${args.join(' ')} ended with ${exitCode}: ${stdout.slice(-2000)} ${stderr.slice(-2000)}`;
}

async function makeStore(folder: string, s3: S3Server | undefined): Promise<{ store: Store; settings: object }> {
  if (s3 === undefined)
    return { store: localStore(join(folder, 'repository')), settings: { location: './repository' } };
  const bucket = await s3.makeBucket();
  const { endpoint, region, credentials } = s3.client;
  const key = { accessKeyId: credentials?.accessKeyId, secretAccessKey: credentials?.secretAccessKey };
  return {
    store: s3Store({ kind: 's3', bucket, prefix: 'shop', client: s3.client }),
    settings: { location: `s3://${bucket}/shop`, s3: { ...key, endpoint, region, pathStyle: true } },
  };
}

/** Kills a server and all that it started at once, as a machine that loses its power does. Its files stay. */
export async function killServer(dataFolder: string): Promise<void> {
  const pid = Number(readFileSync(join(dataFolder, 'postmaster.pid'), 'utf8').split('\n')[0]);
  // Stopped first, it starts no more of them meanwhile.
  process.kill(pid, 'SIGSTOP');
  const all = [...childrenOf(pid), pid];
  for (const one of all) process.kill(one, 'SIGKILL');
  while (all.some(isAlive)) await sleep(10);
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statusOf(Number(name))?.parent === parent)
    .map(Number);
}

function isAlive(pid: number): boolean {
  const status = statusOf(pid);
  return status !== undefined && status.state !== 'Z';
}

function statusOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined; // It ended meanwhile.
  }
}
