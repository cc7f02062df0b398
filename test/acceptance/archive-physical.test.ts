// A month of an archive holds physical backups without the journal they were taken beside. When everything else is gone, the month alone has to
// do: each base brings the WAL that makes it consistent.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agingBucket } from '../support/aging-bucket.ts';
import { bankAddsUp, openBank, transferMoney } from '../support/bank.ts';
import { useBucketScene } from '../support/bucket-scene.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { alikeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { startRestored } from '../support/restored-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';

const Bucket = 'physical-archives';
/** Everything of a row counts. */
const contentQuery =
  "SELECT (SELECT md5(string_agg(a::text, ',' ORDER BY id)) FROM accounts a) AS accounts, (SELECT md5(string_agg(h::text, ',' ORDER BY id)) FROM history h) AS history";
const timeout = 300_000;

await describeWithS3('an archive of physical backups', () => {
  for (const [major, settings] of [
    [15, []],
    // Its second backup is an incremental one.
    [18, ['summarize_wal = on']],
  ] as const) {
    describeWithPostgres(major, `of PostgreSQL ${major}`, () => {
      let cluster: Cluster;
      beforeAll(async () => {
        cluster = await alikeCluster(major, ...settings);
        await cluster.start();
      });
      afterAll(() => cluster[Symbol.asyncDispose]());
      const scene = useBucketScene('us-east-1', async ({ home, aws }) => {
        await chmod(home.path, 0o755); // The server of the copy runs as another user.
        mkdirSync(join(home.path, 'back'), { mode: 0o755 });
        const { host, port, user } = cluster.address;
        const s3 = {
          endpoint: aws.client.endpoint,
          tagBulkData: true,
          bucket: { infrequentAfter: '30d', archiveAfter: '90d', expireAfter: '365d' },
        };
        const repositories = {
          local: { location: './local', password: 'secret' },
          archive: { location: `s3://${Bucket}/shop`, password: 'secret', archive: 'monthly', s3 },
        };
        const database = {
          type: 'postgres',
          host,
          port,
          user,
          sslmode: 'disable',
          method: 'physical',
          journal: { interval: '1s' },
          policy: { repositories: ['local'] },
        };
        const text = JSON.stringify({ application: 'shop', repositories, components: { database } });
        writeFileSync(join(home.path, 'lifeboat.yaml'), text);
      });
      const at = () => ({ folder: scene.home.path, environment: scene.environment });
      async function done(...args: string[]): Promise<string> {
        const { exitCode, stdout, stderr } = await runHere(args, at());
        expect([args[0], exitCode, stderr]).toEqual([args[0], 0, '']);
        return stdout;
      }
      const copyToArchive = () =>
        done('copy', 'latest', '--component', 'database', '--from', 'local', '--to', 'archive');
      const bank = { sql: (_: string, ...statements: readonly string[]) => cluster.sql(...statements) };

      test(
        'comes back from its month alone, to the row, when server, repository and journal are gone',
        { timeout },
        async () => {
          await openBank(bank, 'postgres');
          await done('repository', 'init', '-r', 'local');
          // 3: it warns that its endpoint is no https one.
          expect(await runHere(['storage', 'setup', '-r', 'archive', '--yes'], at())).toMatchObject({ exitCode: 3 });
          await done('repository', 'init', '-r', 'archive', '--from', 'local');
          await using receiver = receive(at());
          await receiver.started;
          {
            await using load = transferMoney({ address: cluster.address }, 'postgres', freshSeed('load'));
            await expect.poll(load.transfers).toBeGreaterThan(100);
            await done('backup', 'database');
          }
          await copyToArchive();
          const [atEnd] = await cluster.sql(contentQuery);
          await done('backup', 'database');
          await copyToArchive();
          // This is in the journal alone.
          await cluster.sql('DELETE FROM accounts WHERE id % 2 = 0', 'SELECT pg_switch_wal()', 'CHECKPOINT');

          const bucket = agingBucket(scene.client, Bucket);
          const inMonth = (await bucket.objects('shop/20')).map(({ key }) => key);
          expect(inMonth.filter((key) => key.includes('/journal'))).toEqual([]);
          const month = inMonth[0]?.split('/')[1] ?? '';
          await receiver.stop();
          await cluster.stop('crash');
          for (const folder of ['local', '.local', '.cache'])
            await rm(join(scene.home.path, folder), { recursive: true, force: true });
          await bucket.age(`shop/${month}/`, 100);
          await runHere(['storage', 'thaw', '-r', `archive/${month}`], at());

          const snapshots = JSON.parse(await done('snapshots', '-r', `archive/${month}`, '--json')) as Listed;
          const [first = '', second = ''] = snapshots.repositories[0]?.snapshots.map(({ id }) => id) ?? [];
          const loaded = await restoredContent([first], 'loaded', bankAddsUp);
          expect(loaded).toMatchObject({ addsUp: true });
          expect(loaded?.['transfers']).toBeGreaterThan(100);
          expect(await restoredContent([second], 'quiet', contentQuery)).toEqual(atEnd);
          // What was never there is not missed: the end of what the month holds is the end of its newest backup.
          expect(await restoredContent(['database', '--at-end'], 'end', contentQuery)).toEqual(atEnd);
          // The fingerprint came along, so each row is compared.
          for (const id of [first, second]) await done('prove', 'database', '--from', id, '-r', `archive/${month}`);
        },
      );

      async function restoredContent([what, ...more]: readonly string[], name: string, query: string) {
        const folder = join(scene.home.path, 'back', name);
        await done('restore', what ?? '', '-r', 'archive', '--to', folder, ...more);
        expect(existsSync(join(folder, 'recovery.signal'))).toBe(false);
        await using server = await startRestored(major, { dataFolder: folder, workFolder: folder });
        const [row] = await server.sql('postgres', query);
        return row;
      }
    });
  }
});

interface Listed {
  readonly repositories: readonly { readonly snapshots: readonly { readonly id: string }[] }[];
}

function receive(at: Parameters<typeof runLifeboat>[1]) {
  const { promise: started, resolve } = Promise.withResolvers<ChildProcess>();
  const ended: Promise<Ran> = runLifeboat(['journal', 'run', 'database', '--json'], { ...at, onStart: resolve });
  const stop = async (): Promise<void> => {
    (await started).kill('SIGTERM');
    await ended;
  };
  return { started, stop, [Symbol.asyncDispose]: stop };
}
