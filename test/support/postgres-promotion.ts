// Stops a throw-away PostgreSQL server and starts it anew: on its next timeline, as after a failover, or after a crash.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/sources/postgres/connection.ts';
import type { TestServer } from './postgres-server.ts';

const { signal } = new AbortController();

/** Stops the server and starts it anew at the same port, on the next timeline. Close the result before the server. */
export async function promote(server: TestServer): Promise<AsyncDisposable> {
  return startAnew(server, 'SIGINT', async (folder) => {
    await writeFile(join(folder, 'recovery.signal'), '');
    return ['-c', 'restore_command=false', '-c', 'recovery_target_timeline=latest'];
  });
}

/** Ends the server at once, with whatever it had not yet written, and lets it recover. Close the result before the server. */
export async function crash(server: TestServer): Promise<AsyncDisposable> {
  return startAnew(server, 'SIGQUIT', () => Promise.resolve([]));
}

async function startAnew(
  server: TestServer,
  how: 'SIGINT' | 'SIGQUIT',
  prepare: (folder: string) => Promise<readonly string[]>,
): Promise<AsyncDisposable> {
  const [row] = await server.sql('postgres', `SELECT current_setting('data_directory') AS folder`);
  const folder = String(row?.['folder']);
  const { uid, gid } = await stat(folder);
  const [program = '', ...programArguments] = (await readFile(`/proc/${server.pid}/cmdline`, 'utf8'))
    .split('\0')
    .slice(0, -1);
  await stopProcess(server.pid, how);
  const settings = await prepare(folder);
  const account = process.getuid?.() === 0 ? { uid, gid } : {};
  const child = spawn(program, [...programArguments, ...settings], { cwd: folder, stdio: 'ignore', ...account });
  await untilWriting(server);
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
    },
  };
}

async function stopProcess(pid: number, how: NodeJS.Signals): Promise<void> {
  process.kill(pid, how);
  for (let tries = 0; tries < 500; tries += 1) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(20);
  }
  throw new Error('the server did not stop');
}

async function untilWriting(server: TestServer): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    await sleep(20);
    try {
      await using connection = await connect(server.address, 'postgres', signal);
      const [row] = await connection.query<{ readonly is: boolean }>('SELECT pg_is_in_recovery() AS is');
      if (row !== undefined && !row.is) return;
    } catch {
      // Not up yet.
    }
  }
  throw new Error('the server did not come up again');
}
