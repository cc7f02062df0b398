// A replication slot that the server gave up: the real receiver names the gap, takes a new base by itself and goes on, and what came
// behind it can be recovered.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { MeasuredRpo } from '../../src/cli/measured-rpo.ts';
import { until } from '../support/journal-events.ts';
import { jsonLines, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { alikeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { createRepository } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

vi.setConfig({ testTimeout: 240_000 });

const slot = "slot_name = 'lifeboat_database'";

interface Listed {
  readonly repositories: readonly { readonly snapshots: readonly { readonly id: string }[] }[];
}

async function shopFolder(cluster: Cluster) {
  const folder = await temporaryFolder();
  await chmod(folder.path, 0o755);
  await createRepository(folder.path);
  const { host, port, user } = cluster.address;
  const journal = { interval: '1s' };
  const database = {
    type: 'postgres',
    host,
    port,
    user,
    sslmode: 'disable',
    method: 'physical',
    journal,
    sentinel: { interval: '1s' },
  };
  const repositories = { local: { location: './repository' } };
  const text = JSON.stringify({ application: 'shop', repositories, components: { database } });
  await writeFile(join(folder.path, 'lifeboat.yaml'), text);
  return folder;
}

/** Without a receiver, until the server gives its slot up. */
async function loseSlot(cluster: Cluster): Promise<void> {
  for (let round = 0; round < 8; round += 1)
    await cluster.sql('INSERT INTO orders VALUES (0)', 'SELECT pg_switch_wal()');
  await cluster.sql('CHECKPOINT');
  const [row] = await cluster.sql(`SELECT wal_status FROM pg_replication_slots WHERE ${slot}`);
  expect(row).toEqual({ wal_status: 'lost' });
}

describeWithPostgres(15, 'a lost slot', () => {
  test('is followed by a named gap, a new base, and recovery to what comes behind it', async () => {
    await using cluster = await alikeCluster(15, "max_slot_wal_keep_size = '32MB'", "max_wal_size = '64MB'");
    await cluster.start();
    await cluster.sql('CREATE TABLE orders (id int)');
    await using folder = await shopFolder(cluster);
    const home = folder.path;
    const run = (...args: string[]): Promise<Ran> => runLifeboat(args, { folder: home });

    /** Receives until `isEnough`, then is stopped. */
    async function receive(isEnough: (output: string) => boolean | Promise<boolean>) {
      let output = '';
      const { promise: enough, resolve, reject } = Promise.withResolvers<void>();
      const ended = runLifeboat(['journal', 'run', 'database', '--json'], {
        folder: home,
        onStart(child) {
          child.stdout?.on('data', (bytes) => (output += String(bytes)));
          void until(() => isEnough(output))
            .then(() => child.kill('SIGTERM'))
            .then(() => resolve(), reject);
        },
      });
      await enough;
      const ran = await ended;
      expect(ran.exitCode).toBe(0);
      return jsonLines(ran);
    }
    const instant = async (): Promise<string> => {
      const [row] = await cluster.sql(
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS time",
      );
      return `${String(row?.['time'])}Z`;
    };
    const isShipped = async (time: string): Promise<boolean> => {
      const { stdout } = await run('restore', 'database', '--at', time, '--to', `${home}/x`, '--dry-run');
      return stdout.includes('nothing was done');
    };

    expect((await run('backup', 'database')).exitCode).toBe(0);
    expect((await receive((output) => output.includes('receiving timeline'))).at(-1)).toMatchObject({ newBases: [] });
    await loseSlot(cluster);
    let time = '';
    const lines = await receive(async (output) => {
      if (!/new base [0-9a-f]{8} in local/.test(output)) return false;
      if (time === '') {
        await cluster.sql('INSERT INTO orders VALUES (1)');
        time = await instant();
        await cluster.sql('INSERT INTO orders VALUES (2)');
      }
      return isShipped(time);
    });
    const { repositories } = JSON.parse((await run('snapshots', '--json')).stdout) as Listed;
    expect(lines.at(-1)).toMatchObject({
      newBases: [{ repository: 'local', reason: expect.stringContaining('max_slot_wal_keep_size') }],
    });
    expect(lines.at(-1)?.['needsBase']).toBeUndefined();
    expect(lines.at(-1)?.['newBases']).toMatchObject([{ snapshot: repositories[0]?.snapshots.at(-1)?.id }]);
    const gaps = await run('journal', 'gaps', '--json');
    expect(JSON.parse(gaps.stdout)).toMatchObject({
      gaps: [{ reason: expect.stringContaining('max_slot_wal_keep_size') }],
    });

    const to = join(home, 'copy');
    const restored = await run('restore', 'database', '--at', time, '--to', to, '--json');
    expect(restored).toMatchObject({ exitCode: 0 });
    const { measured } = jsonLines(restored).at(-1) as unknown as { measured: MeasuredRpo };
    expect(measured).toMatchObject({ against: 'the instant', instant: new Date(time).toISOString() });
    expect(measured.measuredRpoSeconds).toBeLessThan(30);
    await using server = await startRestored(15, { dataFolder: to, workFolder: home });
    expect(await server.sql('postgres', 'SELECT id FROM orders WHERE id > 0')).toEqual([{ id: 1 }]);
  });
});
