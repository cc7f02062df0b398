// A server keeps the receiver of a journal: one process, where the labels are, alive again after it was killed, gone with the server.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { WorkersData } from '../../src/cli/commands/workers.ts';
import { protectServer } from '../simulation/protected-server.ts';
import { childProcesses, type ChildProcessSeen } from '../support/child-processes.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { makeCluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { eventually, startServerWith } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const receivers = (): ChildProcessSeen[] =>
  childProcesses('node').filter(({ arguments: [, ...args] }) => args.includes('journal'));

describeWithPostgres(15, 'a server with a component of PostgreSQL', () => {
  test('receives its journal, comes back after a kill, and ends it with itself', { timeout: 240_000 }, async () => {
    await using folder = await temporaryFolder();
    await using cluster = await makeCluster(15);
    await cluster.start();
    const { port } = cluster.address;
    await using at = await protectServer({ folder: folder.path, port });
    const database = {
      type: 'postgres',
      url: `postgres://lifeboat@127.0.0.1:${port}/?sslmode=disable`,
      method: 'physical',
      journal: { interval: '1s', spool: './spool' },
      // The second one every server carries.
      labels: ['host=here', 'lifeboat=server'],
    };
    const repositories = { main: { location: './repository' } };
    const configure = (own: typeof database): void => {
      const text = JSON.stringify({ application: 'shop', repositories, components: { database: own } });
      writeFileSync(join(folder.path, 'lifeboat.yaml'), text);
    };
    configure(database);
    const place = { folder: folder.path, environment: { LIFEBOAT_LEASE_MS: '8000' } };
    await using server = await startServerWith(place, '--label', 'host=here');
    const write = async (): Promise<void> => {
      const before = await at.keptTo(1);
      await cluster.sql('CREATE TABLE IF NOT EXISTS t (i int)', 'INSERT INTO t VALUES (1)', 'SELECT pg_switch_wal()');
      await eventually(async () => (await at.keptTo(1)) > before);
    };
    await write();
    const [first, ...others] = receivers();
    expect([first === undefined, others]).toEqual([false, []]);
    // Its lease is renewed in time, however short it is.
    await sleep(6000);
    expect(receivers().map(({ pid }) => pid)).toEqual([first?.pid]);
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await eventually(() => receivers().some(({ pid }) => pid !== first?.pid));
    await write();
    const { stdout } = await runLifeboat(['workers', '--json'], { folder: folder.path });
    const { workers, receivers: kept } = JSON.parse(stdout) as WorkersData;
    expect(workers).toMatchObject([{ labels: ['host=here', 'lifeboat=server'] }]);
    expect(kept).toMatchObject([{ of: 'shop/database', worker: workers[0]?.id, toldAt: expect.any(String) as string }]);
    // What it goes by was changed: another process goes on in its place.
    const [second] = receivers();
    configure({ ...database, journal: { ...database.journal, interval: '2s' } });
    await eventually(() => receivers().some(({ pid }) => pid !== second?.pid));
    await write();
    expect(receivers()).toHaveLength(1);
    server.child.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(receivers()).toEqual([]);
  });
});
