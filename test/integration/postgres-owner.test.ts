// A database in the hands of a plain role: what the role that owns it, and one that was let in by it, can back up, restore
// and prove without a superuser; and that what they can't is said before anything is touched.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import type { RestoreDecision, ServiceRestore } from '../../src/sources/source.ts';
import { describeWithPostgres, letIn, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { recordBackup, type RecordedBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;
const quiet = { step: () => undefined, bytes: () => undefined };

function decide(options: PostgresOptions, backup: RecordedBackup, to?: string): Promise<RestoreDecision> {
  return (postgresSource(options).restore as ServiceRestore).decide(backup, { to, include: [] }, never);
}

const of = (findings: readonly Finding[], outcome: Finding['outcome']) =>
  findings.filter((finding) => finding.outcome === outcome);

async function ownerOf(server: TestServer, database: string): Promise<unknown> {
  const query = `SELECT pg_get_userbyid(datdba)::text AS owner FROM pg_database WHERE datname = '${database}'`;
  return (await server.sql('postgres', query))[0]?.['owner'];
}

describeWith(['pg_dump'], 'A plain role', () => {
  describeWithPostgres(15, 'on a server of 15', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql(
        'postgres',
        "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app-secret'; CREATE ROLE maker LOGIN CREATEDB PASSWORD 'maker-secret'",
        "CREATE ROLE reader LOGIN PASSWORD 'reader-secret'; CREATE ROLE legacy SUPERUSER",
        'CREATE DATABASE shop OWNER app',
        'CREATE DATABASE root_shop',
      );
      // As in a database that came from 14, where public belonged to a superuser, and with the grant that our docs name.
      await server.sql(
        'shop',
        "ALTER SCHEMA public OWNER TO legacy; GRANT ALL ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'ours'",
        'GRANT SELECT ON pg_catalog.pg_authid TO reader; ALTER DEFAULT PRIVILEGES FOR ROLE legacy GRANT SELECT ON TABLES TO reader',
        'CREATE EXTENSION pg_trgm',
        'SET ROLE app; CREATE SCHEMA inner_part; CREATE TABLE inner_part.t (id serial PRIMARY KEY, note text)',
        "INSERT INTO inner_part.t (note) SELECT 'note ' || g FROM generate_series(1, 50) g",
        'CREATE TABLE public.orders AS SELECT * FROM inner_part.t; CREATE INDEX ON public.orders USING gin (note public.gin_trgm_ops)',
        'GRANT SELECT ON public.orders TO reader; SELECT lo_from_bytea(0, $$content$$)',
      );
      for (const role of ['app', 'maker']) await letIn(server, role);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    const as = (user: string, databases: readonly string[] = ['shop']) =>
      server.options({ user, password: `${user}-secret`, databases });

    test('that owns the database backs it up, proves it and restores it in place', async () => {
      const app = as('app');
      const checked = await Array.fromAsync(postgresSource(app).check(never));
      expect(of(checked, 'failed')).toEqual([]);
      expect(checked).toContainEqual(
        expect.objectContaining({
          aspect: 'ownership',
          outcome: 'passed',
          message: 'app may replace shop in a restore',
        }),
      );
      const backup = await recordBackup(postgresSource(app));

      const restore = postgresSource(app).restore as ServiceRestore;
      {
        await using sandbox = await restore.sandbox(backup, never);
        await sandbox.restore(backup, never);
        expect(compareFingerprints(backup.recordedFingerprint, await sandbox.fingerprint(never))).toEqual([]);
      }

      const decision = await decide(app, backup);
      expect(of(decision.findings, 'failed')).toEqual([]);
      expect(of(decision.findings, 'warning')).toEqual([
        {
          aspect: 'rights left out',
          outcome: 'warning',
          message: 'rights that only a superuser may grant are left out: TABLE pg_authid, default privileges of legacy',
          hint: 'Restore as a superuser to bring them back.',
        },
      ]);
      const outcome = await decision.execute(quiet, never);
      expect(outcome.restored).toEqual([expect.stringMatching(/^database shop: 2 tables, 100 rows, all rows equal$/)]);
      expect(await ownerOf(server, 'shop')).toBe('app');
      const query = `SELECT obj_description('public'::regnamespace) AS comment, has_table_privilege('reader', 'orders', 'SELECT') AS granted,
        (SELECT array_agg(DISTINCT tableowner::text) FROM pg_tables WHERE schemaname IN ('public', 'inner_part')) AS owners`;
      expect(await server.sql('shop', query)).toEqual([{ comment: 'ours', granted: true, owners: ['app'] }]);
    });

    test('that is a member of the owner restores in place, and everything belongs to the owner again', async () => {
      const backup = await recordBackup(postgresSource(server.options({ databases: ['shop'] })));
      await server.sql('postgres', 'GRANT app TO maker');
      const decision = await decide(as('maker'), backup);
      expect(of(decision.findings, 'failed')).toEqual([]);
      const outcome = await decision.execute(quiet, never);
      expect(outcome.restored).toEqual([expect.stringMatching(/^database shop: .* all rows equal$/)]);
      expect(await ownerOf(server, 'shop')).toBe('app');
      const query = `SELECT DISTINCT tableowner::text AS owner FROM pg_tables WHERE schemaname IN ('public', 'inner_part')`;
      expect(await server.sql('shop', query)).toEqual([{ owner: 'app' }]);
      await server.sql('postgres', 'REVOKE app FROM maker');
    });

    test.each([
      ['shop', 'app', 'GRANT "app" TO "maker";', 'REVOKE app FROM maker'],
      [
        'root_shop',
        'lifeboat',
        'ALTER DATABASE "root_shop" OWNER TO "maker";',
        'ALTER DATABASE root_shop OWNER TO lifeboat',
      ],
    ])(
      'that may create databases but does not own %s is told by check and preflight which statement mends it, and it does',
      async (...[database, owner, statement, undo]) => {
        const backup = await recordBackup(postgresSource(server.options({ databases: [database] })));
        const maker = as('maker', [database]);
        await server.sql('postgres', 'GRANT pg_read_all_data TO maker');
        const told = {
          aspect: 'ownership',
          message: `maker may not rename ${database} (owned by ${owner}), so a restore in place would fail at its end`,
          hint: `Run as a superuser: ${statement}`,
        };
        expect(await Array.fromAsync(postgresSource(maker).check(never))).toContainEqual({
          ...told,
          outcome: 'warning',
        });
        const forbidden = await decide(maker, backup);
        expect(forbidden.findings).toContainEqual({ ...told, outcome: 'failed' });
        await expect(forbidden.execute(quiet, never)).rejects.toThrow('may not rename');
        expect(of((await decide(maker, backup, 'another_name')).findings, 'failed')).toEqual([]);

        await server.sql('postgres', statement);
        const checked = await Array.fromAsync(postgresSource(maker).check(never));
        expect(checked.filter(({ aspect }) => aspect === 'ownership')).toMatchObject([{ outcome: 'passed' }]);
        const decision = await decide(maker, backup);
        expect(of(decision.findings, 'failed')).toEqual([]);
        await decision.execute(quiet, never);
        await server.sql('postgres', undo, 'REVOKE pg_read_all_data FROM maker');
      },
    );

    describeWithPostgres(17, 'with a target of 17', () => {
      test('restores its database there too, though public belonged to somebody else', async () => {
        await using target = await startPostgres(17);
        const roles =
          "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app-secret'; CREATE ROLE reader; CREATE ROLE legacy; CREATE ROLE maker";
        await target.sql('postgres', roles);
        await letIn(target, 'app');
        const backup = await recordBackup(postgresSource(server.options({ databases: ['shop'] })));
        const app = target.options({ user: 'app', password: 'app-secret' });
        const decision = await decide(app, backup);
        expect(of(decision.findings, 'failed')).toEqual([]);
        const outcome = await decision.execute(quiet, never);
        expect(outcome.restored).toEqual([expect.stringMatching(/^database shop: .* all rows equal$/)]);
      });
    });
  });

  describeWithPostgres(14, 'on a server of 14, where public belongs to a superuser', () => {
    test('restores the database that it owns, whatever was granted and noted on public, also twice in one second', async () => {
      const clock = { now: () => Date.parse('2026-11-20T20:00:00Z') };
      await using server = await startPostgres(14);
      await server.sql(
        'postgres',
        "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app-secret'",
        'CREATE DATABASE shop OWNER app',
      );
      await server.sql(
        'shop',
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT ALL ON SCHEMA public TO app; COMMENT ON SCHEMA public IS 'ours'",
        'CREATE EXTENSION citext; SET ROLE app; CREATE TABLE orders AS SELECT generate_series(1, 5) AS id',
      );
      await letIn(server, 'app');
      const app = server.options({ user: 'app', password: 'app-secret', databases: ['shop'] });
      const backup = await recordBackup(postgresSource(app));
      const decision = await decide(app, backup);
      expect(decision.findings.filter(({ outcome }) => ['failed', 'warning'].includes(outcome))).toEqual([]);
      const outcome = await decision.execute(quiet, never);
      expect(outcome.restored).toEqual(['database shop: 1 table, 5 rows, all rows equal']);
      await (await decide({ ...app, clock }, backup)).execute(quiet, never);
      await (await decide({ ...app, clock }, backup)).execute(quiet, never);
      const kept = "SELECT count(*)::int AS kept FROM pg_database WHERE datname LIKE 'shop_before_%'";
      expect(await server.sql('postgres', kept)).toEqual([{ kept: 3 }]);
    });
  });
});
