// A PostgreSQL cluster to be backed up: filled by pgbench, run by the account `postgres`, archiving for pgBackRest.
import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface Cluster {
  readonly major: number;
  readonly programs: string;
  readonly data: string;
  readonly socketFolder: string;
  readonly port: number;
}

/** Runs a program as the account that owns the cluster; throws if it fails. */
export function asPostgres(program: string, ...args: readonly string[]): string {
  const run = spawnSync('runuser', ['-u', 'postgres', '--', program, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.status !== 0)
    throw new Error(`${program} ${args.join(' ')} ended with ${run.status}: ${run.stderr.slice(-2000)}`);
  return run.stdout;
}

export function folderForPostgres(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const account = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  chownSync(path, account('-u'), account('-g'));
  return path;
}

export function createCluster(
  base: string,
  options: {
    readonly programs: string;
    readonly major: number;
    readonly port: number;
    readonly settings: readonly string[];
  },
): Cluster {
  const { programs, major, port, settings } = options;
  const data = join(base, `data-${major}`);
  const socketFolder = folderForPostgres(join(base, `socket-${major}`));
  asPostgres(join(programs, 'initdb'), '-D', data, '--auth=trust', '--username=postgres', '--no-sync', '--locale=C');
  const all = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `unix_socket_directories = '${socketFolder}'`,
    'wal_level = replica',
    'max_wal_senders = 10',
    "shared_buffers = '512MB'",
    "max_wal_size = '8GB'",
    'autovacuum = off',
    ...settings,
  ];
  appendFileSync(join(data, 'postgresql.conf'), `${all.join('\n')}\n`);
  const cluster = { major, programs, data, socketFolder, port };
  startCluster(cluster);
  return cluster;
}

export function startCluster({ programs, data }: Cluster): void {
  asPostgres(join(programs, 'pg_ctl'), '-D', data, '-w', '-t', '300', '-l', `${data}.log`, 'start');
}

export function stopCluster({ programs, data }: Cluster): void {
  asPostgres(join(programs, 'pg_ctl'), '-D', data, '-w', '-m', 'fast', 'stop');
}

export function removeCluster(cluster: Cluster): void {
  stopCluster(cluster);
  rmSync(cluster.data, { recursive: true, force: true });
}

const placeOf = ({ socketFolder, port }: Cluster): string[] => [
  `--host=${socketFolder}`,
  `--port=${port}`,
  '--username=postgres',
];

export function sql(cluster: Cluster, ...statements: readonly string[]): string {
  return asPostgres(
    'psql',
    '-XqAt',
    '--set=ON_ERROR_STOP=1',
    ...placeOf(cluster),
    '--dbname=postgres',
    ...statements.flatMap((statement) => ['-c', statement]),
  );
}

/** pgbench's tables, about 15 MB a unit of scale. */
export function fill(cluster: Cluster, scale: number): void {
  asPostgres('pgbench', '--initialize', '--quiet', `--scale=${scale}`, ...placeOf(cluster), 'postgres');
  sql(cluster, 'CHECKPOINT');
}

/** A share of the rows of every page. */
export function changeRows(cluster: Cluster, percent: number): void {
  const every = Math.round(100 / percent);
  sql(cluster, `UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % ${every} = 0`, 'CHECKPOINT');
}

/** A share of the pages: all in one place, or one here and one there. One row of each page, told by its place in the file. */
export function changePages(cluster: Cluster, percent: number, where: 'together' | 'apart'): void {
  const pages = `(pg_relation_size('pgbench_accounts') / current_setting('block_size')::int)::int`;
  const chosen =
    where === 'together'
      ? `SELECT page FROM generate_series(0, ${pages} * ${percent} / 100) AS page`
      : `SELECT page FROM generate_series(0, ${pages} - 1) AS page WHERE hashint4(page) % 100 BETWEEN 0 AND ${percent} - 1`;
  sql(
    cluster,
    `UPDATE pgbench_accounts SET abalance = abalance + 1
      WHERE ctid = ANY (ARRAY(SELECT format('(%s,1)', page)::tid FROM (${chosen}) AS p))`,
    'CHECKPOINT',
  );
}

/** Writes so much WAL; returns its end. */
export function writeWal(cluster: Cluster, mebibytes: number): string {
  return sql(
    cluster,
    'CREATE TABLE IF NOT EXISTS filler (id bigint, text text)',
    'TRUNCATE filler',
    `INSERT INTO filler SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, ${mebibytes} * 1000) AS n`,
    'SELECT pg_current_wal_flush_lsn()',
  ).trim();
}
