// A server on a data directory that something restored, as an administrator would start it: the stock programs, no help of ours.
import { lchownSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Connection } from '../../src/sources/postgres/connection.ts';
import { findServer } from '../../src/sources/postgres/server-programs.ts';
import {
  freePort,
  reachablePrograms,
  serverAccount,
  spawnServerProgram,
  stopServer,
} from '../../src/sources/postgres/server-process.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';

const never = new AbortController().signal;

export interface RestoredServer extends AsyncDisposable {
  readonly address: ServerAddress;
  connect(database: string): Promise<Connection>;
  sql(database: string, ...statements: readonly string[]): Promise<Record<string, unknown>[]>;
  log(): string;
}

export interface RestoredFolder {
  readonly dataFolder: string;
  readonly workFolder: string;
  /** More `name=value` settings. */
  readonly settings?: readonly string[];
}

/** `workFolder` holds the restored tree and must be open to the account of the server. */
export async function startRestored(
  major: number,
  { dataFolder, workFolder, settings: more = [] }: RestoredFolder,
): Promise<RestoredServer> {
  const account = serverAccount();
  if (account !== undefined) chownAll(workFolder, account);
  const programs = await findServer(major, (process.env['PATH'] ?? '').split(':'), never);
  const programFolder = await reachablePrograms(programs, workFolder, account);
  writeFileSync(
    join(dataFolder, 'pg_hba.conf'),
    'host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n',
  );
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off', ...more];
  const child = spawnServerProgram({ programFolder, folder: workFolder, account }, 'postgres', [
    '-D',
    dataFolder,
    ...settings.flatMap((one) => ['-c', one]),
  ]);
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  const address: ServerAddress = { host: '127.0.0.1', port, user: 'lifeboat', ssl: { mode: 'disable' } };
  for (let attempt = 0; ; attempt += 1) {
    try {
      await using connection = await connect(address, 'postgres', never);
      await connection.query('SELECT 1');
      break;
    } catch (error) {
      if (child.exitCode !== null || attempt === 600)
        throw new Error(`the copy did not start: ${log}`, { cause: error });
      await sleep(50);
    }
  }
  const open = (database: string): Promise<Connection> => connect(address, database, never);
  return {
    address,
    connect: open,
    async sql(database, ...statements) {
      await using connection = await open(database);
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = await connection.query(statement);
      return rows;
    },
    log: () => log,
    [Symbol.asyncDispose]: () => stopServer(child),
  };
}

function chownAll(folder: string, account: { uid: number; gid: number }): void {
  lchownSync(folder, account.uid, account.gid);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    lchownSync(join(entry.parentPath, entry.name), account.uid, account.gid);
  }
}
