// Lifeboat and pgBackRest before one cluster: the same level of zstd, both encrypted, two processes or threads each.
import { chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from '../measure.ts';
import { asPostgres, folderForPostgres, type Cluster } from './cluster.ts';

export interface PostgresContender {
  readonly name: string;
  readonly version: string;
  readonly repository: string;
  /** Once, with the server running. */
  readonly prepare: readonly Command[];
  full(): Command;
  incremental(): Command;
  /** Into an empty folder, or over what an earlier restore left there. */
  restore(target: string, options: { readonly isDelta: boolean }): Command;
  /** Into an empty folder, with all WAL that there is, until the server answers. */
  recover(target: string): Command;
  /** Receives WAL until it is stopped; absent where the server hands it over by itself. */
  readonly receive?: Command;
}

const password = 'benchmark';

const asAccount = (program: string, args: readonly string[], environment: Record<string, string> = {}): Command => ({
  program: 'runuser',
  args: ['-u', 'postgres', '--', program, ...args],
  environment,
});

export function pgbackrest(base: string, cluster: Cluster): PostgresContender {
  const repository = folderForPostgres(join(base, 'repository-pgbackrest'));
  const configuration = pgbackrestConfiguration(base, cluster.data);
  const command = (...args: string[]): Command =>
    asAccount('pgbackrest', [`--config=${configuration}`, '--stanza=main', ...args]);
  return {
    name: 'pgbackrest',
    version: asPostgres('pgbackrest', 'version').trim(),
    repository,
    prepare: [command('stanza-create')],
    full: () => command('--type=full', 'backup'),
    incremental: () => command('--type=incr', 'backup'),
    restore: (target, { isDelta }) =>
      command(`--pg1-path=${target}`, ...(isDelta ? ['--delta'] : []), '--type=immediate', 'restore'),
    recover: (target) => {
      const fetch = `--config=${configuration} --stanza=main --pg1-path=${target}`;
      const start = `${cluster.programs}/pg_ctl -D ${target} -w -t 600 -o '-p 54400 -c archive_mode=off -k ${base}' -l ${target}.log`;
      // pg_ctl is content as soon as the server is consistent: all WAL is replayed when it has left recovery.
      const isDone = `${cluster.programs}/psql -h ${base} -p 54400 -d postgres -AXtc "SELECT pg_is_in_recovery()" | grep -qx f`;
      const wait = `for attempt in $(seq 6000); do ${isDone} && break; sleep 0.1; done && ${isDone}`;
      return asAccount('sh', [
        '-c',
        `pgbackrest ${fetch} restore && ${start} start && ${wait} && ${start} -m fast stop`,
      ]);
    },
  };
}

/** Written before the server starts, which archives with it. */
export function pgbackrestConfiguration(base: string, data: string): string {
  const path = join(base, 'pgbackrest.conf');
  const folder = (name: string): string => folderForPostgres(join(base, name));
  const lines = [
    '[global]',
    `repo1-path=${folder('repository-pgbackrest')}`,
    'repo1-cipher-type=aes-256-cbc',
    `repo1-cipher-pass=${password}`,
    'compress-type=zst',
    'compress-level=1',
    'process-max=2',
    'start-fast=y',
    'log-level-console=warn',
    `log-path=${folder('pgbackrest-log')}`,
    `lock-path=${folder('pgbackrest-lock')}`,
    `spool-path=${folder('pgbackrest-spool')}`,
    '[main]',
    `pg1-path=${data}`,
    `pg1-socket-path=${join(base, 'socket-15')}`,
    'pg1-port=54315',
    'pg1-user=postgres',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  chmodSync(path, 0o644);
  return path;
}

export function lifeboat(base: string, cluster: Cluster): PostgresContender {
  const folder = folderForPostgres(join(base, `lifeboat-${cluster.major}`));
  const repository = join(folder, 'repository');
  const configuration = join(folder, 'lifeboat.yaml');
  const text = `application: bench
repositories:
  local: { location: ${repository} }
components:
  database:
    type: postgres
    host: ${cluster.socketFolder}
    port: ${cluster.port}
    user: postgres
    method: physical
    physical: { fingerprint: false }
`;
  writeFileSync(configuration, text);
  chmodSync(configuration, 0o644);
  const main = resolve(import.meta.dirname, '..', '..', 'dist', 'main.js');
  // Compiled once, as the installed program is.
  const environment = {
    LIFEBOAT_PASSWORD: password,
    HOME: folder,
    XDG_STATE_HOME: join(folder, 'state'),
    NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
  };
  const command = (...args: string[]): Command =>
    asAccount(
      process.execPath,
      ['--max-semi-space-size=4', main, ...args, '--quiet', '--config', configuration],
      environment,
    );
  return {
    name: 'lifeboat',
    version: asPostgres(process.execPath, main, '--version').trim(),
    repository,
    prepare: [command('repository', 'init')],
    full: () => command('backup', 'database', '--type', 'full'),
    incremental: () => command('backup', 'database', '--type', 'incremental'),
    restore: (target, { isDelta }) =>
      command('restore', 'database', '--to', target, '--yes', ...(isDelta ? ['--delta'] : [])),
    recover: (target) => command('restore', 'database', '--at-end', '--to', target, '--yes'),
    // A base that it takes by itself would hold what is to be replayed.
    receive: command('journal', 'run', 'database', '--no-new-base'),
  };
}
