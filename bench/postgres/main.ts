// `npm run bench:postgres [-- --scale 100] [--work /folder]`: one PostgreSQL 15 cluster through Lifeboat and pgBackRest, one step of
// each after the other, and a PostgreSQL 18 cluster through Lifeboat alone, whose increments the server itself makes. CPU is that of
// the whole machine during a step: Lifeboat lets the server read, pgBackRest reads by itself.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { measure, sizeMiB, warm, type Command } from '../measure.ts';
import { record } from '../record.ts';
import {
  asPostgres,
  changePages,
  changeRows,
  createCluster,
  fill,
  folderForPostgres,
  removeCluster,
  sql,
  writeWal,
  type Cluster,
} from './cluster.ts';
import { lifeboat, pgbackrest, pgbackrestConfiguration, type PostgresContender } from './contenders.ts';

interface Result {
  readonly major: number;
  readonly step: string;
  readonly contender: string;
  readonly wallSeconds: number;
  /** Of all processes of the machine, the server's among them. */
  readonly machineCpuSeconds: number;
  readonly memoryMiB: number;
}

const results: Result[] = [];

/** Seconds in which some processor was busy since the machine started. */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softIrq) / 100;
}

function step(
  name: string,
  cluster: Cluster,
  { contender, command }: { contender: PostgresContender; command: Command },
): void {
  const before = busySeconds();
  const { wallSeconds, memoryMiB } = measure(command);
  const machineCpuSeconds = busySeconds() - before;
  const result = {
    major: cluster.major,
    step: name,
    contender: contender.name,
    wallSeconds,
    machineCpuSeconds,
    memoryMiB,
  };
  results.push(result);
  console.log(
    `  ${name.padEnd(24)} ${contender.name.padEnd(10)} ${wallSeconds.toFixed(2).padStart(7)} s wall ${machineCpuSeconds.toFixed(2).padStart(7)} s CPU ${memoryMiB.toFixed(0).padStart(5)} MiB`,
  );
}

function backupSteps(cluster: Cluster, all: readonly PostgresContender[]): void {
  const each = (name: string, command: (contender: PostgresContender) => Command): void => {
    for (const contender of all) {
      warm(cluster.data);
      step(name, cluster, { contender, command: command(contender) });
    }
  };
  each('full', (contender) => contender.full());
  for (const { name, repository } of all) console.log(`  size ${name}: ${sizeMiB(repository).toFixed(0)} MiB`);
  changePages(cluster, 1, 'together');
  each('1 % of pages together', (contender) => contender.incremental());
  changePages(cluster, 1, 'apart');
  each('1 % of pages apart', (contender) => contender.incremental());
  changeRows(cluster, 1);
  each('1 % of rows everywhere', (contender) => contender.incremental());
  changeRows(cluster, 10);
  each('10 % of rows everywhere', (contender) => contender.incremental());
}

function restoreSteps(base: string, cluster: Cluster, all: readonly PostgresContender[]): void {
  for (const contender of all) {
    const target = folderForPostgres(join(base, 'restored'));
    warm(contender.repository);
    step('restore', cluster, { contender, command: contender.restore(target, { isDelta: false }) });
    spoil(target);
    step('restore over a stale copy', cluster, { contender, command: contender.restore(target, { isDelta: true }) });
    rmSync(target, { recursive: true, force: true });
  }
}

/** 2 GB of WAL: how fast it is taken in, and how long a restore with it takes until the server answers. */
async function walSteps(base: string, cluster: Cluster, all: readonly PostgresContender[]): Promise<void> {
  const receivers = all.map(({ receive }) => receive).filter((command) => command !== undefined);
  const running = receivers.map(({ program, args, environment }) =>
    spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
    }),
  );
  const streaming = 'SELECT count(*) FROM pg_stat_replication';
  await until(() => receivers.length === 0 || sql(cluster, streaming).trim() === String(receivers.length));
  // From here on all is received: each replays the same WAL, from a backup right before it.
  for (const contender of all) measure(contender.incremental());
  const startedMs = performance.now();
  const end = writeWal(cluster, walMebibytes);
  const writtenMs = performance.now();
  const through = `SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '${end}'`;
  await until(() => {
    const ended = running.find(({ exitCode }) => exitCode !== null);
    if (ended !== undefined) throw new Error(`a receiver ended with ${ended.exitCode}: ${ended.spawnargs.join(' ')}`);
    return sql(cluster, through).trim() === String(receivers.length);
  });
  const receivedMs = performance.now();
  const rate = (walMebibytes * 1.048576) / ((receivedMs - startedMs) / 1000);
  console.log(
    `  WAL: ${walMebibytes} MiB written in ${seconds(writtenMs - startedMs)} s, received ${seconds(receivedMs - writtenMs)} s later: ${rate.toFixed(0)} MB/s`,
  );
  walIntake.push({ major: cluster.major, mebibytes: walMebibytes, megabytesPerSecond: rate });
  const last = sql(cluster, 'SELECT pg_walfile_name(pg_switch_wal())').trim();
  const archived = `SELECT current_setting('archive_mode') = 'off' OR last_archived_wal >= '${last}' FROM pg_stat_archiver`;
  await until(() => sql(cluster, archived).trim() === 't');
  for (const child of running) {
    // Its whole group: runuser would end without what it runs.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    await once(child, 'exit');
  }
  for (const contender of all) {
    const target = folderForPostgres(join(base, 'recovered'));
    step('recover with 2 GB of WAL', cluster, { contender, command: contender.recover(target) });
    rmSync(target, { recursive: true, force: true });
  }
}

const walMebibytes = 2048;
/** On 15 pgBackRest archives the same WAL beside it. */
const walIntake: { readonly major: number; readonly mebibytes: number; readonly megabytesPerSecond: number }[] = [];
const seconds = (ms: number): string => (ms / 1000).toFixed(1);

async function until(isSo: () => boolean): Promise<void> {
  for (let attempt = 0; !isSo(); attempt += 1) {
    if (attempt > 3000) throw new Error('what was waited for did not happen within five minutes');
    await sleep(100);
  }
}

/** One page in a hundred of the largest files differs. */
function spoil(target: string): void {
  const script = `find "$1" -type f -size +32M | while read -r file; do
    pages=$(( $(stat -c %s "$file") / 8192 ))
    for page in $(seq 50 100 $(( pages - 1 ))); do printf 'spoilt' | dd of="$file" bs=1 seek=$(( page * 8192 + 4000 )) conv=notrunc status=none; done
  done`;
  asPostgres('sh', '-c', script, 'sh', target);
}

async function benchPeers(base: string, scale: number): Promise<void> {
  const programs = '/usr/lib/postgresql/15/bin';
  const configuration = pgbackrestConfiguration(base, join(base, 'data-15'));
  const cluster = createCluster(base, {
    programs,
    major: 15,
    port: 54_315,
    settings: [
      'archive_mode = on',
      `archive_command = 'pgbackrest --config=${configuration} --stanza=main archive-push %p'`,
    ],
  });
  try {
    const all = [lifeboat(base, cluster), pgbackrest(base, cluster)];
    console.log(`PostgreSQL 15, scale ${scale}; ${all.map(({ name, version }) => `${name} ${version}`).join(', ')}`);
    for (const { prepare } of all) for (const command of prepare) measure(command);
    fill(cluster, scale);
    backupSteps(cluster, all);
    restoreSteps(base, cluster, all);
    await walSteps(base, cluster, all);
  } finally {
    removeCluster(cluster);
  }
}

async function benchIncrements(base: string, scale: number): Promise<void> {
  const entry = createRequire(import.meta.url).resolve(`postgres-18-${process.platform}-${process.arch}`);
  const programs = join(dirname(dirname(entry)), 'native', 'bin');
  const settings = ['summarize_wal = on'];
  const cluster = createCluster(base, { programs, major: 18, port: 54_318, settings });
  try {
    const own = lifeboat(base, cluster);
    console.log(`PostgreSQL 18, scale ${scale}; ${own.name} ${own.version}`);
    for (const command of own.prepare) measure(command);
    fill(cluster, scale);
    sql(cluster, 'SELECT pg_switch_wal()');
    backupSteps(cluster, [own]);
    restoreSteps(base, cluster, [own]);
    await walSteps(base, cluster, [own]);
  } finally {
    removeCluster(cluster);
  }
}

function report(): void {
  const wall = (contender: string, name: string, major: number): number =>
    results.find((one) => one.contender === contender && one.step === name && one.major === major)?.wallSeconds ?? NaN;
  const names = [...new Set(results.map((one) => one.step))];
  const against = names.map(
    (name) => `${name} ${(wall('lifeboat', name, 15) / wall('pgbackrest', name, 15)).toFixed(2)}`,
  );
  console.log(`\nLifeboat against pgBackRest on 15, wall: ${against.join(', ')}`);
  const own = names.map((name) => `${name} ${(wall('lifeboat', name, 18) / wall('lifeboat', 'full', 18)).toFixed(2)}`);
  console.log(`Lifeboat against its own full backup on 18, wall: ${own.join(', ')}`);
  record({ bench: 'postgres', scale, walIntake, results });
}

const { values } = parseArgs({ options: { scale: { type: 'string' }, work: { type: 'string' } } });
const scale = Number(values.scale ?? 80);
for (const path of ['/usr/bin/time', '/usr/bin/pgbackrest', '/usr/lib/postgresql/15/bin/initdb'])
  if (!existsSync(path)) throw new Error(`needs ${path}: install Debian's packages time, pgbackrest and postgresql-15`);
spawnSync('npm', ['run', 'build'], { cwd: resolve(import.meta.dirname, '..', '..'), stdio: 'ignore' });
const base = folderForPostgres(mkdtempSync(join(values.work ?? tmpdir(), 'lifeboat-bench-')));
spawnSync('chmod', ['755', base]);
try {
  await benchPeers(base, scale);
  await benchIncrements(base, scale);
  report();
} finally {
  rmSync(base, { recursive: true, force: true });
}
