// Real PostgreSQL servers for tests: the throw-aways of the product, with a hand to write into them.
import { writeFile } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { describe } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { defaultPhysicalSettings } from '../../src/model/component.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { startLocalServer, type LocalServer } from '../../src/sources/postgres/local-server.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import { findServers } from '../../src/sources/postgres/server-programs.ts';

const never = new AbortController().signal;
const programFolders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
const servers = await findServers(programFolders, never);

export interface TestServer extends LocalServer {
  /** Runs statements one after the other in one session. */
  sql(database: string, ...statements: readonly string[]): Promise<Record<string, unknown>[]>;
  options(changes?: Partial<PostgresOptions>): PostgresOptions;
}

export async function startPostgres(major: number, settings: readonly string[] = []): Promise<TestServer> {
  const programs = servers.find((one) => one.major === major);
  if (programs === undefined) throw new Error(`no PostgreSQL ${major} here`);
  const server = await startLocalServer(programs, { settings }, never);
  return {
    ...server,
    async sql(database, ...statements) {
      await using connection = await connect(server.address, database, never);
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = await connection.query(statement);
      return rows;
    },
    options: (changes = {}) => ({
      ...server.address,
      databases: [],
      lockWaitMaxMs: 30_000,
      programFolders,
      method: 'logical',
      physical: defaultPhysicalSettings,
      slot: 'lifeboat_test',
      clock: systemClock,
      ...changes,
    }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** `describe` for tests that need a server of one major; skipped loudly where there is none, failed under CI=true. */
export function describeWithPostgres(major: number, title: string, define: () => void): void {
  if (servers.some((one) => one.major === major)) describe(title, define);
  else if (process.env['CI'] === 'true') throw new Error(`${title}: no PostgreSQL ${major} on CI`);
  else describe.skip(`${title} (not run: no PostgreSQL ${major} on this machine)`, define);
}

/** A throw-away server lets in its superuser only: adds a rule for one more role. */
export async function letIn(server: TestServer, role: string): Promise<void> {
  const rule = `host all ${role} 127.0.0.1/32 scram-sha-256`;
  const query = "SELECT current_setting('hba_file') AS path, pg_read_file(current_setting('hba_file')) AS text";
  const [file] = await server.sql('postgres', query);
  await writeFile(String(file?.['path']), `${String(file?.['text'])}${rule}\n`);
  await server.sql('postgres', 'SELECT pg_reload_conf()', 'SELECT pg_sleep(0.3)');
}
