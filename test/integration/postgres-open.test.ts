// `lifeboat postgres open`: the real program, a real server, a real journal.
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connect } from '../../src/sources/postgres/connection.ts';
import { until } from '../support/journal-events.ts';
import { jsonLines } from '../support/lifeboat.ts';
import { pastScene, type PastScene } from '../support/past-scene.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';

interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly passwordFile: string;
  readonly line: string;
}

interface Opened {
  readonly connection: Connection;
  readonly password: string;
  readonly child: ChildProcess;
  readonly reached: { readonly position: string; readonly lastTransaction?: string };
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** As the program ended. */
  ended(): Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

async function open(scene: PastScene, ...args: readonly string[]): Promise<Opened> {
  let child: ChildProcess | undefined;
  let stdout = '';
  const ran = scene.run(['postgres', 'open', 'database', '--json', ...args], {
    onStart(started) {
      child = started;
      started.stdout?.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    },
  });
  let isOver = false;
  void ran.then(() => (isOver = true));
  await until(() => isOver || /"message_type":"server".*\n/.test(stdout));
  if (isOver) throw new Error(`it ended: ${JSON.stringify(await ran)}`);
  const line = stdout.split('\n').find((one) => one.includes('"server"')) ?? '';
  const { connection, reached } = JSON.parse(line) as Pick<Opened, 'connection' | 'reached'>;
  const password = readFileSync(connection.passwordFile, 'utf8').trim().split(':').at(-1) ?? '';
  const { host, port, user, database } = connection;
  return {
    connection,
    reached,
    password,
    child: child as ChildProcess,
    async sql(text) {
      await using session = await connect({ host, port, user, password, ssl: { mode: 'prefer' } }, database, noSignal);
      return await session.query(text);
    },
    ended: () => ran,
  };
}

/** Throw-away folders; Node's own cache is none. */
function left({ sandboxes }: PastScene): string[] {
  return readdirSync(sandboxes).filter((name) => name.startsWith('lifeboat-'));
}

for (const major of [15, 18]) {
  describeWithPostgres(major, `a server of the past, PostgreSQL ${major}`, () => {
    test('stands at the instant, can only be read, and leaves nothing behind however it ends', async () => {
      await using scene = await pastScene(major);
      const { cluster } = scene;
      await cluster.sql('CREATE TABLE orders (id int PRIMARY KEY)', 'INSERT INTO orders VALUES (1)');
      await scene.begin();
      await cluster.sql('INSERT INTO orders VALUES (2)');
      const after = await scene.position();
      await cluster.sql('DROP TABLE orders');
      await scene.end();

      const opened = await open(scene, '--lsn', after, '--exclusive');
      expect(await opened.sql('SELECT id FROM orders ORDER BY 1')).toEqual([{ id: 1 }, { id: 2 }]);
      expect(opened.reached).toMatchObject({
        position: expect.stringMatching(/^0\//),
        lastTransaction: expect.anything(),
      });
      for (const statement of ['INSERT INTO orders VALUES (3)', 'SET transaction_read_only = off; DROP TABLE orders']) {
        await expect(opened.sql(statement)).rejects.toThrow(/read-only|recovery/);
      }
      // The password is for one account, in a file, and nowhere else.
      const { connection, child, password } = opened;
      expect(statSync(connection.passwordFile).mode & 0o777).toBe(0o600);
      expect(connection.line).toBe(
        `psql "host=127.0.0.1 port=${connection.port} user=lifeboat dbname=postgres passfile=${connection.passwordFile}"`,
      );
      const wrong = { ...connection, password: 'wrong', ssl: { mode: 'disable' } } as const;
      await expect(connect(wrong, 'postgres', noSignal)).rejects.toThrow(/password/);
      expect(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8')).not.toContain(password);
      child.kill('SIGINT');
      const ended = await opened.ended();
      expect(ended.exitCode).toBe(0);
      expect(ended.stdout + ended.stderr).not.toContain(password);
      expect(jsonLines(ended).at(-1)).toMatchObject({ message_type: 'summary', reached: opened.reached });
      expect(left(scene)).toEqual([]);

      // The backup itself, for a while.
      const atBackup = await open(scene, '--for', '3s');
      expect(await atBackup.sql('SELECT id FROM orders ORDER BY 1')).toEqual([{ id: 1 }]);
      await expect(atBackup.sql('INSERT INTO orders VALUES (3)')).rejects.toThrow(/read-only|recovery/);
      expect((await atBackup.ended()).exitCode).toBe(0);
      expect(left(scene)).toEqual([]);

      const killed = await open(scene, '--at-end');
      await expect(killed.sql('SELECT id FROM orders')).rejects.toThrow(/does not exist/);
      killed.child.kill('SIGKILL');
      await killed.ended();
      await until(() => left(scene).length === 0);
      await expect(killed.sql('SELECT 1')).rejects.toThrow(/connect/);

      const refused = await scene.run(['postgres', 'open', 'database', '--lsn', '7/0']);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toMatch(/can't be reached/);
      expect(left(scene)).toEqual([]);
    }, 180_000);
  });
}
