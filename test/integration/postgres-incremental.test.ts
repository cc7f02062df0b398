// Incremental backups: what comes back from one is what the server held, whatever happened since the full one, visibility maps included.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BackupResult } from '../../src/operations/backup/backup.ts';
import { previewBackup } from '../../src/operations/backup/preview.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { checkCopy } from '../../src/sources/postgres/physical/copy-checks.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { openBank, transferMoney } from '../support/bank.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import {
  backUp,
  differencesOf,
  folderOfServer,
  openFolder,
  restoreByRestic,
  startCopy,
} from '../support/physical-backups.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { createRepository, noSignal } from '../support/repository.ts';
import { describeWith } from '../support/tools.ts';

const settings = ['summarize_wal=on', 'full_page_writes=on'];

interface Place {
  readonly server: TestServer;
  readonly repository: Repository;
  readonly folder: string;
}

/** What restic restores and the stock server starts holds the rows of the fingerprint, and is sound in depth. */
async function expectWhole({ server, repository, folder }: Place, result: BackupResult): Promise<void> {
  const target = restoreByRestic(repository, folder);
  await using copy = await startCopy(server, target);
  expect(await differencesOf(copy, target, result)).toEqual([]);
  const { databases } = result.facts['fingerprint'] as { readonly databases: string[] };
  expect(await checkCopy(copy.address, databases, noSignal)).toMatchObject({ missing: [] });
}

/** How many rows there are by an index alone, which believes the visibility map, and by looking at each. */
const bothCounts = `
  SET enable_seqscan = off; SET enable_bitmapscan = off;
  SELECT count(*)::int AS "byIndex", (SELECT sum(n)::int FROM (SELECT count(*) AS n FROM marked GROUP BY b) AS g) AS "byRows"
    FROM marked WHERE a > 0`;

describeWith(['restic'], 'incremental backups', () => {
  for (const major of [17, 18]) {
    describeWithPostgres(major, `of PostgreSQL ${major}`, () => {
      test('hold what the server held, after load, and after tables were dropped, truncated, made, moved', async () => {
        await using folder = await openFolder();
        await using server = await startPostgres(major, settings);
        const fast = folderOfServer(folder.path, 'fast');
        await server.sql('postgres', `CREATE TABLESPACE fast LOCATION '${fast}'`, 'CREATE DATABASE shop');
        await openBank(server, 'shop', 'fast');
        await server.sql(
          'shop',
          'CREATE TABLE doomed AS SELECT g FROM generate_series(1, 20000) g',
          'CREATE TABLE emptied AS SELECT g FROM generate_series(1, 20000) g',
          'CREATE TABLE shrunk AS SELECT g, repeat(md5(g::text), 8) AS t FROM generate_series(1, 20000) g',
          'CREATE TABLE still AS SELECT g, md5(g::text) AS t FROM generate_series(1, 100000) g',
          'CREATE INDEX ON still (g)',
          'VACUUM FREEZE',
        );
        const repository = await createRepository(folder.path);
        const source = postgresSource(server.options({ method: 'physical' }));
        const place = { server, repository, folder: folder.path };
        const full = await backUp(repository, source);
        expect(full.facts).toMatchObject({ type: 'full' });

        let first: BackupResult;
        {
          await using load = transferMoney(server, 'shop', freshSeed('load'));
          await expect.poll(load.transfers).toBeGreaterThan(200);
          first = await backUp(repository, source);
        }
        expect(first.notes).toEqual([]);
        expect(first.facts).toMatchObject({ type: 'incremental', fullTime: full.facts['snapshotTime'] });
        expect(first.parent).toBe(full.snapshot.id);
        expect(first.addedBytes).toBeLessThan(full.addedBytes / 2);
        await expectWhole(place, first);

        await server.sql(
          'shop',
          'DROP TABLE doomed',
          'TRUNCATE emptied',
          'DELETE FROM shrunk WHERE g > 100',
          'VACUUM shrunk',
          'INSERT INTO emptied VALUES (1)',
          'CREATE TABLE fresh AS SELECT g FROM generate_series(1, 30000) g',
          'ALTER TABLE still SET TABLESPACE fast',
          'UPDATE accounts SET balance = balance WHERE id % 50 = 0',
          'VACUUM accounts',
          'DELETE FROM accounts WHERE id % 70 = 0',
          'REINDEX TABLE history',
        );
        await server.sql('postgres', 'CREATE DATABASE late TEMPLATE shop STRATEGY file_copy', 'DROP DATABASE late');
        await server.sql('postgres', 'CREATE DATABASE late TEMPLATE shop STRATEGY wal_log');
        const second = await backUp(repository, source);
        expect(second.notes).toEqual([]);
        expect(second.facts).toMatchObject({ type: 'incremental', fullTime: full.facts['snapshotTime'] });
        await expectWhole(place, second);
      });

      test('tell the truth about visible rows, which the server’s own increments do not', async () => {
        await using folder = await openFolder();
        await using server = await startPostgres(major, settings);
        await server.sql(
          'postgres',
          'CREATE TABLE marked AS SELECT g AS a, g % 10 AS b FROM generate_series(1, 50000) g',
          'CREATE INDEX ON marked (a)',
        );
        // A transaction of the server's own that runs at this moment would keep rows from counting as visible to all.
        const visible = "SELECT relallvisible = relpages AS all FROM pg_class WHERE relname = 'marked'";
        await expect.poll(() => server.sql('postgres', 'VACUUM FREEZE marked', visible)).toEqual([{ all: true }]);
        const repository = await createRepository(folder.path);
        const source = postgresSource(server.options({ method: 'physical' }));
        await backUp(repository, source);
        const before = restoreByRestic(repository, folder.path);
        await server.sql(
          'postgres',
          'DELETE FROM marked WHERE a BETWEEN 20001 AND 20100',
          'BEGIN; SELECT * FROM marked WHERE a = 40000 FOR SHARE; COMMIT',
        );
        const result = await backUp(repository, source);
        expect(result.facts).toMatchObject({ type: 'incremental' });
        await expectWhole({ server, repository, folder: folder.path }, result);
        const target = restoreByRestic(repository, folder.path);
        {
          await using copy = await startCopy(server, target);
          expect(await copy.sql('postgres', bothCounts)).toEqual([{ byIndex: 49_900, byRows: 49_900 }]);
        }
        // With the map as the server's increment leaves it, that of the earlier backup, deleted rows come back.
        const [row] = await server.sql('postgres', "SELECT pg_relation_filepath('marked') || '_vm' AS path");
        const map = join('pgdata', String(row?.['path']));
        const unrepaired = restoreByRestic(repository, folder.path);
        writeFileSync(join(unrepaired, map), readFileSync(join(before, map)));
        await using copy = await startCopy(server, unrepaired);
        expect(await copy.sql('postgres', bothCounts)).toEqual([{ byIndex: 50_000, byRows: 49_900 }]);
        await expect(checkCopy(copy.address, ['postgres'], noSignal)).rejects.toMatchObject({
          code: 'VERIFICATION_FAILED',
          message: expect.stringContaining('visibility map'),
        });
      });

      test('become full ones, with a note that says why, where the server can not', async () => {
        await using folder = await openFolder();
        await using server = await startPostgres(major, ['full_page_writes=on']);
        const summarize = (value: 'on' | 'off') =>
          server.sql(
            'postgres',
            `ALTER SYSTEM SET summarize_wal = '${value}'`,
            'SELECT pg_reload_conf()',
            'SELECT pg_sleep(0.5)',
          );
        await summarize('on');
        const repository = await createRepository(folder.path);
        const source = postgresSource(server.options({ method: 'physical' }));
        await backUp(repository, source);
        const back = async (changes: Parameters<TestServer['options']>[0], type?: 'full' | 'incremental') => {
          const made = postgresSource(server.options({ method: 'physical', ...changes }));
          const { facts, notes } = await backUp(repository, made, { type });
          return { type: facts['type'], notes: notes.map(({ message }) => message) };
        };
        const preview = async (type?: 'full') =>
          previewBackup(repository, source, { component: 'database', type, signal: noSignal });
        const { physical } = server.options();
        const physically = { method: 'physical', type: 'incremental' };
        const answers = expect.objectContaining({
          outcome: 'passed',
          message: expect.stringContaining('lets lifeboat replicate'),
        });
        expect(await preview()).toMatchObject({
          parent: expect.any(String),
          form: physically,
          findings: expect.arrayContaining([answers]),
        });
        expect(await preview('full')).toMatchObject({ form: { type: 'full', reason: 'as asked for' } });
        expect(await back({})).toEqual({ type: 'incremental', notes: [] });
        expect(await back({}, 'full')).toEqual({ type: 'full', notes: [] });
        expect(await back({ physical: { ...physical, fullEveryMs: 0 } })).toEqual({ type: 'full', notes: [] });
        expect(await back({ physical: { ...physical, fullEveryMs: 0 } }, 'incremental')).toMatchObject({
          type: 'incremental',
        });
        await summarize('off');
        expect((await preview()).form).toMatchObject({ type: 'full', reason: 'summarize_wal is off at the server' });
        expect(await back({})).toEqual({
          type: 'full',
          notes: ['a full backup in place of an incremental one: summarize_wal is off at the server'],
        });
        // WAL that was written and removed meanwhile was never summarised.
        await server.sql('postgres', 'CREATE TABLE lost AS SELECT g FROM generate_series(1, 1000) g');
        for (let round = 0; round < 2; round += 1) await server.sql('postgres', 'SELECT pg_switch_wal()', 'CHECKPOINT');
        await summarize('on');
        const refused = await back({});
        expect(refused).toEqual({ type: 'full', notes: [expect.stringMatching(/WAL summaries are required/)] });
        expect(await back({})).toEqual({ type: 'incremental', notes: [] });
      });
    });
  }
});
