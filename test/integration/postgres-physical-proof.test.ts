// Proofs of physical backups: a sandbox on a copy holds, to the row, what the fingerprint says, and nothing of production acts in it.
import { chmodSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { Sandbox, ServiceRestore, Source } from '../../src/sources/source.ts';
import { openBank, transferMoney } from '../support/bank.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { everything } from '../support/postgres-samples.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { recordBackup, type RecordedBackup } from '../support/recorded-backup.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const never = new AbortController().signal;

async function sandboxOf(source: Source, recorded: RecordedBackup): Promise<Sandbox> {
  const sandbox = await (source.restore as ServiceRestore).sandbox(recorded, never);
  try {
    await sandbox.restore(recorded, never);
    return sandbox;
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `a physical backup of PostgreSQL ${major} under load`, () => {
    test('is proven to the row', async () => {
      await using server = await startPostgres(major);
      await server.sql('postgres', 'CREATE DATABASE shop', 'CREATE DATABASE types');
      await openBank(server, 'shop');
      await server.sql('types', ...everything);
      const source = postgresSource(server.options({ method: 'physical' }));
      let recorded: RecordedBackup;
      {
        await using load = transferMoney(server, 'shop', freshSeed('load'));
        await expect.poll(load.transfers).toBeGreaterThan(100);
        recorded = await recordBackup(source);
      }
      expect(recorded.notes).toEqual([]);
      expect(recorded.recordedFacts).toMatchObject({
        fingerprint: { databases: ['postgres', 'shop', 'types'], leftOut: [] },
      });
      const rows = new Map(recorded.recordedFingerprint.items.map((item) => [item.name, item.rows]));
      expect(rows.get('shop.public.history')).toBeGreaterThan(100);
      expect(rows.get('shop.public.history_id_seq (sequence)')).toBe(1);
      expect(rows.get('types (large objects)')).toBe(2);
      expect(rows.has('shop.public.visits')).toBe(false);

      await using sandbox = await sandboxOf(source, recorded);
      expect(compareFingerprints(recorded.recordedFingerprint, await sandbox.fingerprint(never))).toEqual([]);
      expect(sandbox.description).toMatch(
        /^PostgreSQL \d+\.\d+ at 127\.0\.0\.1:\d+, \d+ indexes( \(\d+ sorted by locale left out\))? and \d+ tables sound$/,
      );
      expect(
        await sandbox.valueOf(
          { sql: 'SELECT sum(balance) = (SELECT sum(delta) FROM history) FROM accounts', database: 'shop' },
          never,
        ),
      ).toBe(true);
    });
  });
}

describeWithPostgres(15, 'the sandbox of a physical backup', () => {
  test('does nothing that the original does', async () => {
    await using folder = await temporaryFolder();
    chmodSync(folder.path, 0o777);
    const trace = join(folder.path, 'trace');
    await using server = await startPostgres(15);
    await server.sql(
      'postgres',
      "ALTER SYSTEM SET archive_mode = 'on'",
      `ALTER SYSTEM SET archive_command = 'touch ${trace}-archive'`,
      "ALTER SYSTEM SET shared_preload_libraries = 'not_there'",
      "ALTER SYSTEM SET ssl = 'on'",
      "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'",
      "ALTER SYSTEM SET listen_addresses = '*'",
      `CREATE FUNCTION act() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN COPY (SELECT 1) TO '${trace}-trigger'; END $$`,
      'CREATE EVENT TRIGGER act ON ddl_command_end EXECUTE FUNCTION act()',
      'ALTER EVENT TRIGGER act ENABLE ALWAYS',
    );
    await rm(`${trace}-trigger`, { force: true });
    const source = postgresSource(server.options({ method: 'physical' }));
    const recorded = await recordBackup(source);
    await using sandbox = await sandboxOf(source, recorded);
    expect(compareFingerprints(recorded.recordedFingerprint, await sandbox.fingerprint(never))).toEqual([]);
    const settings =
      "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('archive_mode', 'shared_preload_libraries', 'ssl', 'primary_conninfo', 'listen_addresses', 'max_logical_replication_workers')";
    expect(await sandbox.valueOf({ sql: settings }, never)).toBe(
      'archive_mode=off listen_addresses=127.0.0.1 max_logical_replication_workers=0 primary_conninfo= shared_preload_libraries= ssl=off',
    );
    await expect(sandbox.valueOf({ sql: 'CREATE TABLE x ()' }, never)).rejects.toMatchObject({ code: 'USAGE' });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('lets in nobody of the original', async () => {
    await using server = await startPostgres(15);
    const source = postgresSource(server.options({ method: 'physical' }));
    await using sandbox = await sandboxOf(source, await recordBackup(source));
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(sandbox.description)?.[1]);
    await expect(connect({ ...server.address, port }, 'postgres', never)).rejects.toMatchObject({
      message: expect.stringContaining('no pg_hba.conf entry'),
    });
  });

  test('a copy that lacks WAL, a page of an index or a row is not called proven', async () => {
    await using server = await startPostgres(15);
    await server.sql('postgres', 'CREATE TABLE t AS SELECT g FROM generate_series(1, 5000) g', 'CREATE INDEX ON t (g)');
    const source = postgresSource(server.options({ method: 'physical' }));
    const recorded = await recordBackup(source);
    const fileOf = async (relation: string): Promise<Buffer> => {
      const [row] = await server.sql('postgres', `SELECT pg_relation_filepath('${relation}') AS path`);
      return recorded.files.get(`/pgdata/${String(row?.['path'])}`) ?? Buffer.alloc(0);
    };
    const zeroed = async (file: Buffer, at: number, act: () => Promise<void>): Promise<void> => {
      const before = Buffer.from(file);
      file.fill(0, at, at + 8192);
      await act();
      before.copy(file);
    };
    const [wal] = [...recorded.files].flatMap(([name, bytes]) => (/pg_wal\/[0-9A-F]{24}$/.test(name) ? [bytes] : []));
    await zeroed(wal ?? Buffer.alloc(0), 0, async () => {
      await expect(sandboxOf(source, recorded)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
    });
    await zeroed(await fileOf('t_g_idx'), 16_384, async () => {
      const message: unknown = expect.stringContaining('index t_g_idx of database postgres is damaged');
      await expect(sandboxOf(source, recorded)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED', message });
    });
    await zeroed(await fileOf('t'), 16_384, async () => {
      await using sandbox = await sandboxOf(source, recorded);
      const lost = compareFingerprints(recorded.recordedFingerprint, await sandbox.fingerprint(never));
      expect(lost.map(({ name }) => name)).toEqual(['postgres.public.t']);
    });
  });
});
