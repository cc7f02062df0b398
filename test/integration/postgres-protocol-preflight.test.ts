import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultPhysicalSettings } from '../../src/model/component.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { replicate, setAccessRules, setSettings } from '../support/postgres-access.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';

const { signal } = new AbortController();
const local = '127.0.0.1/32';

/** Findings that call for something, `aspect outcome` → hint; and all aspects. */
async function check(server: TestServer, changes: Partial<PostgresOptions> = {}) {
  // What rows take is looked at elsewhere.
  const physical = { ...defaultPhysicalSettings, takesFingerprint: false };
  const source = postgresSource(server.options({ physical, ...changes, method: 'physical' }));
  const findings: Finding[] = await Array.fromAsync(source.check(signal));
  const open = findings.filter(({ outcome }) => outcome !== 'passed');
  return {
    aspects: findings.map(({ aspect }) => aspect),
    open: Object.fromEntries(open.map(({ aspect, outcome, hint = '' }) => [`${aspect} ${outcome}`, hint])),
  };
}

const limitless = { 'slot limit warning': expect.stringContaining('max_slot_wal_keep_size') };

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `what PostgreSQL ${major} lacks for physical backups`, () => {
    let server: TestServer;
    // What the tests' own servers do without, and what is as everywhere.
    const usual = {
      ...limitless,
      ...(major === 14 ? { 'server version warning': expect.stringContaining('upgrade') } : {}),
      ...(major >= 17 ? { 'wal summaries warning': expect.stringContaining('SET summarize_wal = on') } : {}),
      'full_page_writes warning': expect.stringContaining('SET full_page_writes = on'),
    };
    beforeAll(async () => {
      server = await startPostgres(major, ['max_wal_senders=3', 'max_replication_slots=3']);
      await server.sql(
        'postgres',
        `CREATE ROLE app LOGIN PASSWORD 'x'`,
        `CREATE ROLE copier LOGIN REPLICATION PASSWORD 'x'`,
      );
    });
    afterAll(() => server[Symbol.asyncDispose]());

    test('is told with what mends it', async () => {
      const { aspects, open } = await check(server);
      expect(open).toEqual(usual);
      expect(aspects).toEqual([
        'replication',
        'server version',
        'wal_level',
        'wal senders',
        'replication slots',
        'slot limit',
        'full_page_writes',
        'data checksums',
        ...(major >= 17 ? ['wal summaries'] : []),
        'synchronous standbys',
        'fingerprint',
        'method',
      ]);
      await setSettings(server, {
        max_slot_wal_keep_size: '1GB',
        synchronous_standby_names: '*',
        synchronous_commit: 'off',
      });
      await using held = new AsyncDisposableStack();
      const connection = held.use(await replicate(server));
      for (const name of ['a', 'b']) await connection.createSlot(name, {});
      held.use(await replicate(server));
      const { 'slot limit warning': limited, ...others } = usual;
      expect(limited).toBeDefined();
      expect((await check(server)).open).toEqual({
        ...others,
        'wal senders warning': expect.stringContaining('SET max_wal_senders = 10;'),
        'replication slots warning': expect.stringContaining('SET max_replication_slots = 10;'),
        'synchronous standbys warning': expect.stringContaining('in place of *'),
      });
      held.use(await replicate(server));
      const full = (await check(server)).open;
      expect(full).toMatchObject({
        'replication failed': expect.stringContaining('SET max_wal_senders = 10;'),
        'wal senders failed': expect.stringContaining('SET max_wal_senders = 10;'),
      });
      for (const name of ['a', 'b']) await connection.dropSlot(name, { waits: false });
      await setSettings(server, { max_slot_wal_keep_size: '-1', synchronous_standby_names: '' });
    });

    test('includes a right, a line in pg_hba.conf, and a server that is none of the user', async () => {
      const app = { user: 'app', password: 'x' };
      const copier = { user: 'copier', password: 'x' };
      await setAccessRules(server, `host all app ${local} scram-sha-256`);
      expect((await check(server, app)).open).toEqual({
        ...usual,
        'replication right failed': 'Run as a superuser: ALTER ROLE "app" REPLICATION;',
      });
      expect((await check(server, copier)).open).toEqual({
        'replication failed': `Add to pg_hba.conf before what applies now: 'host postgres copier 127.0.0.1/32 scram-sha-256', then run SELECT pg_reload_conf();`,
      });
      // That line is enough.
      await setAccessRules(server, 'host postgres copier 127.0.0.1/32 scram-sha-256');
      expect((await check(server, copier)).open).toEqual(usual);
      await setAccessRules(server, `host replication copier ${local} scram-sha-256`);
      expect((await check(server, copier)).open).toEqual(usual);

      await server.sql('postgres', 'CREATE ROLE rds_superuser');
      await setAccessRules(server, `host all app ${local} scram-sha-256`);
      expect((await check(server, app)).open).toEqual({
        'replication right failed': expect.any(String),
        'managed service failed': expect.stringContaining('method: logical'),
      });
      await server.sql('postgres', 'DROP ROLE rds_superuser');
      expect((await check(server, { user: 'app', password: 'wrong' })).open).toEqual({
        'replication failed': expect.stringContaining('password'),
      });
    });

    test('is all there at once where wal_level is minimal', async () => {
      await using minimal = await startPostgres(
        major,
        ['wal_level=minimal', 'max_wal_senders=0', 'summarize_wal=off'].slice(0, major >= 17 ? 3 : 2),
      );
      expect((await check(minimal)).open).toEqual({
        ...usual,
        'replication failed': expect.stringContaining('max_wal_senders'),
        'wal_level failed': expect.stringContaining('SET wal_level = replica; ALTER SYSTEM SET max_wal_senders = 10;'),
        'wal senders failed': expect.any(String),
      });
    });
  });
}
