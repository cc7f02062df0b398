// Physical backups end to end: stock restic restores them, the stock server starts from what it restored, beside the original.
import { lstatSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BackupResult } from '../../src/operations/backup/backup.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { checkFingerprint } from '../../src/sources/postgres/physical/check-fingerprint.ts';
import { physicalFactsSchema } from '../../src/sources/postgres/physical/facts.ts';
import { pauseReplay } from '../../src/sources/postgres/physical/paused-replay.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { bankAddsUp, openBank, transferMoney } from '../support/bank.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import {
  backUp,
  differencesOf,
  folderOfServer,
  openFolder,
  restoreByRestic,
  startCopy,
} from '../support/physical-backups.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { createRepository, noSignal } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';
import { describeWith } from '../support/tools.ts';

/** All files below a folder with size and time, to see whether anything touched them. */
function state(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map(({ parentPath, name }) => {
      const { size, mtimeNs, ino } = statSync(join(parentPath, name), { bigint: true });
      return `${join(parentPath, name)} ${size} ${mtimeNs} ${ino}`;
    })
    .toSorted();
}

describeWith(['restic'], 'physical backups', () => {
  for (const major of [14, 15, 16, 17, 18]) {
    describeWithPostgres(major, `of PostgreSQL ${major}`, () => {
      test('taken under load come back by restic alone, at one instant, without touching the original’s tablespaces', async () => {
        await using folder = await openFolder();
        await using server = await startPostgres(major);
        const place = folderOfServer(folder.path, 'fast disk');
        await server.sql('postgres', `CREATE TABLESPACE fast LOCATION '${place}'`, 'CREATE DATABASE shop');
        await openBank(server, 'shop', 'fast');
        const repository = await createRepository(folder.path);
        const source = postgresSource(server.options({ method: 'physical' }));
        let transfersBefore: number;
        let result: BackupResult;
        {
          await using load = transferMoney(server, 'shop', freshSeed('load'));
          await expect.poll(load.transfers).toBeGreaterThan(100);
          transfersBefore = load.transfers();
          result = await backUp(repository, source);
        }
        await server.sql('postgres', 'CHECKPOINT');
        expect(result.problems).toEqual([]);
        expect(result.facts).toMatchObject({ method: 'physical', type: 'full', serverMajor: major });
        const { consistentLsn } = physicalFactsSchema.parse(result.facts);
        const before = state(place);

        const target = restoreByRestic(repository, folder.path);
        const [oid = ''] = readdirSync(join(target, 'pgdata/pg_tblspc'));
        expect(readlinkSync(join(target, 'pgdata/pg_tblspc', oid))).toBe(`../../tablespaces/${oid}`);
        expect(lstatSync(join(target, 'pgdata')).mode & 0o777).toBe(0o700);
        await using copy = await startCopy(server, target);
        const [found] = await copy.sql('shop', bankAddsUp);
        expect(found).toMatchObject({ addsUp: true });
        expect(found?.['transfers']).toBeGreaterThanOrEqual(transfersBefore);
        expect(await copy.sql('shop', 'SELECT count(*)::int AS visits FROM visits')).toEqual([{ visits: 0 }]);
        expect(await differencesOf(copy, target, result)).toEqual([]);
        const [lsn] = await copy.sql(
          'shop',
          `SELECT redo_lsn >= '${consistentLsn}' AND redo_lsn <= '${consistentLsn}'::pg_lsn + 200 AS "isAtEnd" FROM pg_control_checkpoint()`,
        );
        expect(lsn).toEqual({ isAtEnd: true });
        await copy.sql('shop', 'INSERT INTO history (account, delta) VALUES (1, 5)', 'CHECKPOINT');
        expect(state(place)).toEqual(before);
      });
    });
  }

  describeWithPostgres(18, 'of a server with damage and files elsewhere', () => {
    test('a damaged page is kept and told by its table and block', async () => {
      await using folder = await openFolder();
      await using server = await startPostgres(18);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', 'CREATE TABLE orders AS SELECT g FROM generate_series(1, 5000) g', 'CHECKPOINT');
      const query = "SELECT pg_relation_filepath('orders') AS path, current_setting('data_directory') AS folder";
      const [row] = await server.sql('shop', query);
      const [path, dataDirectory] = [String(row?.['path']), String(row?.['folder'])];
      const file = await open(join(dataDirectory, path), 'r+');
      await file.write(Buffer.from('damage'), 0, 6, 3 * 8192 + 4000);
      await file.close();
      const result = await backUp(
        await createRepository(folder.path),
        postgresSource(server.options({ method: 'physical' })),
      );
      expect(result.problems).toEqual([
        {
          path: `/pgdata/${path}`,
          message: 'damaged at the server: block 3 of shop.public.orders: the checksum does not fit',
        },
      ]);
      expect(result.facts['damaged']).toEqual([{ file: path, relation: 'shop.public.orders', blocks: [3], count: 1 }]);
    });

    test('configuration outside the data directory is in the backup, beside it', async () => {
      await using folder = await openFolder();
      const rules = join(folder.path, 'rules.conf');
      const text = 'host all lifeboat 127.0.0.1/32 scram-sha-256\n';
      writeFileSync(rules, text, { mode: 0o644 });
      await using server = await startPostgres(18, [`hba_file=${rules}`]);
      const repository = await createRepository(folder.path);
      const { facts, notes } = await backUp(repository, postgresSource(server.options({ method: 'physical' })));
      expect(facts).toMatchObject({
        configuration: [{ path: rules, entry: '/configuration/rules.conf' }],
        superuser: 'lifeboat',
        settings: { max_connections: '100', hba_file: rules },
        databases: [{ name: 'postgres', extensions: [{ name: 'plpgsql' }] }],
      });
      expect(notes).toEqual([]);
      const target = restoreByRestic(repository, folder.path);
      expect(readFileSync(join(target, 'configuration/rules.conf'), 'utf8')).toBe(text);
    });
  });

  for (const major of [15, 18]) {
    describeWithPostgres(major, `of a standby of PostgreSQL ${major}`, () => {
      test('come back as the standby was, leave its replay running, and go on when it is promoted', async () => {
        await using folder = await openFolder();
        await using server = await startPostgres(major, ['full_page_writes=on']);
        await openBank(server, 'postgres');
        const repository = await createRepository(folder.path);
        await backUp(repository, postgresSource(server.options({ method: 'physical' })));
        const place = restoreByRestic(repository, folder.path);
        writeFileSync(join(place, 'pgdata/standby.signal'), '');
        const { host, port, user, password } = server.address;
        const upstream = `primary_conninfo=host=${host} port=${port} user=${user} password=${password ?? ''}`;
        const standbyFolder = { dataFolder: join(place, 'pgdata'), workFolder: place, settings: [upstream] };
        await using standby = await startRestored(major, standbyFolder);
        let result: BackupResult;
        {
          await using load = transferMoney(server, 'postgres', freshSeed('load'));
          await expect.poll(load.transfers).toBeGreaterThan(100);
          const { port: standbyPort } = standby.address;
          const source = postgresSource(server.options({ method: 'physical', port: standbyPort }));
          result = await backUp(repository, source, { type: 'full' });
        }
        expect(result.notes).toEqual([]);
        expect(result.facts).toMatchObject({
          isStandby: true,
          fingerprint: { databases: ['postgres'], leftOut: [] },
        });
        const paused = 'SELECT pg_get_wal_replay_pause_state() AS state';
        expect(await standby.sql('postgres', paused)).toEqual([{ state: 'not paused' }]);
        // Whoever dies while it is paused holds it no longer than a while.
        const address = { ...server.address, port: standby.address.port };
        const death = new AbortController();
        const connections = [0, 1].map(() => connect(address, 'postgres', death.signal));
        const [connection, holder] = await Promise.all(connections);
        if (connection === undefined || holder === undefined) throw new Error('no connection');
        expect(await pauseReplay(connection, holder, 2_000)).not.toHaveProperty('reason');
        death.abort();
        expect(await standby.sql('postgres', paused)).toEqual([{ state: 'paused' }]);
        const found = await checkFingerprint(server.options({ port: standby.address.port }), noSignal);
        expect(found).toMatchObject({ outcome: 'warning', hint: expect.stringContaining('pg_wal_replay_resume()') });
        await expect
          .poll(() => standby.sql('postgres', paused), { timeout: 20_000 })
          .toEqual([{ state: 'not paused' }]);
        const target = restoreByRestic(repository, folder.path);
        await using copy = await startCopy(server, target);
        expect(await copy.sql('postgres', bankAddsUp)).toMatchObject([{ addsUp: true }]);
        expect(await differencesOf(copy, target, result)).toEqual([]);

        await standby.sql('postgres', 'SELECT pg_promote()', 'INSERT INTO history (account, delta) VALUES (1, 7)');
        await standby.sql('postgres', 'UPDATE accounts SET balance = balance + 7 WHERE id = 1');
        const promotedSource = postgresSource(server.options({ method: 'physical', port: standby.address.port }));
        const promoted = await backUp(repository, promotedSource, { type: 'full' });
        expect(promoted.facts).toMatchObject({ isStandby: false, timeline: 2 });
        expect(promoted.snapshot.lifeboat?.journal).toMatchObject({
          lineage: expect.stringMatching(/^postgresql\/\d+\/00000002-[0-9a-f]{12}$/),
        });
        const second = restoreByRestic(repository, folder.path);
        expect(readdirSync(join(second, 'pgdata/pg_wal'))).toContain('00000002.history');
        await using copyOfPromoted = await startCopy(server, second);
        expect(await copyOfPromoted.sql('postgres', bankAddsUp)).toMatchObject([{ addsUp: true }]);
        expect(await differencesOf(copyOfPromoted, second, promoted)).toEqual([]);
      });
    });
  }

  describeWithPostgres(15, 'of a server that makes no increments', () => {
    test('read all and store what changed', async () => {
      await using folder = await openFolder();
      await using server = await startPostgres(15);
      await server.sql(
        'postgres',
        'CREATE TABLE t AS SELECT g, md5(g::text) || md5((g + 1)::text) AS m FROM generate_series(1, 300000) g',
        'VACUUM FREEZE t',
      );
      const repository = await createRepository(folder.path);
      const source = postgresSource(server.options({ method: 'physical' }));
      const first = await backUp(repository, source);
      await server.sql('postgres', "UPDATE t SET m = '' WHERE g = 150000");
      const second = await backUp(repository, source);
      expect(second.facts).toMatchObject({ type: 'full' });
      expect(second.totalBytes).toBeGreaterThan(40_000_000);
      // A few chunks of the table, of the catalogues and of the WAL.
      expect(second.addedBytes).toBeLessThan(first.addedBytes / 10);
      const target = restoreByRestic(repository, folder.path);
      await using copy = await startCopy(server, target);
      expect(await differencesOf(copy, target, second)).toEqual([]);
    });
  });
});
