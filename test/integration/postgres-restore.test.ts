// Restores into running servers: beside what is there, compared, swapped; and nothing changed when anything fails.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { RestoreDecision, RestoreOutcome, RestoreRequest, ServiceRestore } from '../../src/sources/source.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { everything } from '../support/postgres-samples.ts';
import { recordBackup, type RecordedBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;
const all: RestoreRequest = { include: [] };

function decide(server: TestServer, backup: RecordedBackup, request: RestoreRequest) {
  return (postgresSource(server.options()).restore as ServiceRestore).decide(backup, request, never);
}

/** To another server, whose superuser has the same name: what it takes to get in there comes from elsewhere than the target. */
function decideTo(server: TestServer, backup: RecordedBackup, path = '') {
  const { host, port, password } = server.address;
  const source = postgresSource(server.options({ host: 'nowhere.invalid', password }));
  const to = `postgres://${host}:${port}${path}`;
  return (source.restore as ServiceRestore).decide(backup, { to, include: [] }, never);
}

interface Told {
  readonly steps: number[];
  bytes: number;
}

function execute(
  decision: RestoreDecision,
  signal = never,
  told: Told = { steps: [], bytes: 0 },
): Promise<RestoreOutcome> {
  return decision.execute(
    { step: (index) => void told.steps.push(index), bytes: (count) => void (told.bytes += count) },
    signal,
  );
}

function outcomes(decision: RestoreDecision): Record<string, string> {
  return Object.fromEntries(decision.findings.map(({ aspect, outcome }) => [aspect, outcome]));
}

async function databases(server: TestServer): Promise<string[]> {
  return (await server.sql('template1', 'SELECT datname::text AS name FROM pg_database ORDER BY 1')).map(({ name }) =>
    String(name),
  );
}

describeWith(['pg_dump'], 'PostgreSQL restores', () => {
  describeWithPostgres(15, 'to the server they came from', () => {
    let server: TestServer;
    let backup: RecordedBackup;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql(
        'postgres',
        "CREATE ROLE app LOGIN PASSWORD 'first'; CREATE ROLE report; GRANT app TO report",
        'CREATE DATABASE shop OWNER app',
      );
      await server.sql('shop', ...everything, 'ALTER TABLE twins OWNER TO app; GRANT SELECT ON types TO report');
      await server.sql(
        'postgres',
        `COMMENT ON DATABASE shop IS 'the ''shop'''; ALTER DATABASE shop SET search_path TO public, "odd, one"; ALTER DATABASE shop SET my.setting = 'a=b';
         ALTER ROLE app IN DATABASE shop SET work_mem = '9MB'; REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO report;
         ALTER DATABASE shop CONNECTION LIMIT 77`,
      );
      backup = await recordBackup(postgresSource(server.options({ databases: ['shop'] })));
    });
    afterAll(() => server[Symbol.asyncDispose]());

    test('to a new name brings everything back and replaces nothing', async () => {
      const decision = await decide(server, backup, { to: 'copy', include: ['shop'] });
      expect(decision).toMatchObject({
        target: expect.stringContaining('database copy on 127.0.0.1:'),
        replaces: undefined,
      });
      expect(decision.findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'warning')).toEqual([]);
      const told = { steps: [], bytes: 0 };
      const outcome = await execute(decision, never, told);
      expect(outcome).toEqual({
        restored: [expect.stringMatching(/^database copy: \d+ tables, [\d,]+ rows, all rows equal$/)],
        kept: undefined,
      });
      expect(told).toEqual({ steps: [0, 1, 2], bytes: backup.files.get('/databases/shop.dump')?.length });
      expect(decision.steps).toHaveLength(3);
      const [facts] = await server.sql(
        'copy',
        `SELECT pg_get_userbyid(datdba)::text AS owner, shobj_description(oid, 'pg_database') AS comment, datconnlimit AS connections, datacl::text AS acl,
           (SELECT array_agg(unnest ORDER BY unnest) FROM unnest((SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = oid AND setrole = 0))) AS settings,
           (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = oid AND setrole <> 0) AS "roleSettings",
           (SELECT tableowner::text FROM pg_tables WHERE tablename = 'twins') AS "tableOwner", has_table_privilege('report', 'types', 'SELECT') AS granted
         FROM pg_database WHERE datname = 'copy'`,
      );
      const [original] = await server.sql('shop', "SELECT datacl::text AS acl FROM pg_database WHERE datname = 'shop'");
      expect(facts).toEqual({
        owner: 'app',
        comment: "the 'shop'",
        connections: 77,
        acl: original?.['acl'],
        roleSettings: ['work_mem=9MB'],
        tableOwner: 'app',
        granted: true,
        settings: ['my.setting=a=b', 'search_path=public, "odd, one"'],
      });
      expect(await server.sql('copy', 'SELECT count FROM public.counted')).toEqual([{ count: '4' }]);
      await server.sql('postgres', 'DROP DATABASE copy');
    });

    test('to the original name asks first, then swaps under a busy application and keeps the old one', async () => {
      await server.sql('shop', 'DELETE FROM public.twins');
      await server.sql('postgres', "ALTER ROLE app PASSWORD 'second'");
      const [before] = await server.sql('postgres', "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'");
      const stop = new AbortController();
      const counts = new Set<string>();
      const application = keepAsking(server, counts, stop.signal);
      const decision = await decide(server, backup, all);
      expect(decision.replaces).toMatch(/^database shop \(\d+ MiB, \d+ sessions?\) on 127\.0\.0\.1:/);
      const outcome = await execute(decision);
      await expect.poll(() => counts.has('4'), { timeout: 30_000 }).toBe(true);
      stop.abort();
      await application;
      expect(counts).toContain('0');
      expect(await server.sql('shop', 'SELECT count(*)::int AS n FROM public.twins')).toEqual([{ n: 4 }]);
      const kept = (await databases(server)).find((name) => name.startsWith('shop_before_')) ?? '';
      expect(outcome.kept).toContain(`DROP DATABASE "${kept}";`);
      expect(await server.sql(kept, 'SELECT count(*)::int AS n FROM public.twins')).toEqual([{ n: 0 }]);
      expect(await server.sql('postgres', "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")).toEqual([before]);
      await server.sql('postgres', /remove with: (.*);$/.exec(outcome.kept ?? '')?.[1] ?? 'no statement');
      expect(await databases(server)).toEqual(['postgres', 'shop', 'template0', 'template1']);
    });

    test.each([
      ['a dump that ends in the middle', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2), 'RESTORE_FAILED'],
      [
        'a dump with a spoilt row',
        (bytes: Buffer) => replaced(bytes, '2024-02-29 12:00:00.123456', '2024-02-30 12:00:00.123456'),
        'RESTORE_FAILED',
      ],
      [
        'a dump with another row',
        (bytes: Buffer) => replaced(bytes, 'a large object', 'a large OBJECT'),
        'VERIFICATION_FAILED',
      ],
    ])('%s leaves the original as it was and nothing else', async (_, spoil, code) => {
      const dump = backup.files.get('/databases/shop.dump') ?? Buffer.alloc(0);
      const spoilt: RecordedBackup = {
        ...backup,
        read: async function* (path) {
          const bytes = path.endsWith('.dump') ? spoil(dump) : backup.files.get(path);
          for (let at = 0; at < (bytes?.length ?? 0); at += 10_000)
            yield bytes?.subarray(at, at + 10_000) ?? Buffer.alloc(0);
          await Promise.resolve();
        },
      };
      const decision = await decide(server, spoilt, all);
      await expect(execute(decision)).rejects.toMatchObject({ code, hint: expect.any(String) });
      expect(await databases(server)).toEqual(['postgres', 'shop', 'template0', 'template1']);
      expect(await server.sql('shop', 'SELECT count(*)::int AS n FROM public.twins')).toEqual([{ n: 4 }]);
    });

    test('a repository that fails while it is read, or an interruption, leaves nothing behind either', async () => {
      const dump = backup.files.get('/databases/shop.dump') ?? Buffer.alloc(0);
      const controller = new AbortController();
      let reads = 0;
      const broken: RecordedBackup = {
        ...backup,
        read: async function* (path, signal) {
          yield (path.endsWith('.dump') ? dump : Buffer.alloc(0)).subarray(0, 40_000);
          if ((reads += 1) === 1) throw new Error('the repository is gone');
          controller.abort(new AppError('INTERRUPTED', 'interrupted by SIGTERM', { hint: 'Run it again.' }));
          await Promise.resolve();
          signal.throwIfAborted();
        },
      };
      const decision = await decide(server, halfBroken(backup, broken), all);
      await expect(execute(decision)).rejects.toThrow('the repository is gone');
      const again = await decide(server, halfBroken(backup, broken), all);
      await expect(execute(again, controller.signal)).rejects.toMatchObject({
        code: 'INTERRUPTED',
        message: 'interrupted by SIGTERM: nothing was swapped, the live data is untouched',
      });
      expect(await databases(server)).toEqual(['postgres', 'shop', 'template0', 'template1']);
    });

    test('several databases can not all take one new name, and one that is not in the recovery point is named', async () => {
      await server.sql('postgres', 'CREATE DATABASE two');
      const both = await recordBackup(postgresSource(server.options()));
      const decision = await decide(server, both, { to: 'one', include: [] });
      expect(outcomes(decision)).toEqual({ databases: 'failed' });
      await expect(execute(decision)).rejects.toThrow("can't all become one");
      await expect(decide(server, both, { include: ['three'] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      const outcome = await execute(await decide(server, both, all));
      expect(outcome.restored).toHaveLength(3);
      expect(outcome.kept?.match(/DROP DATABASE "(postgres|shop|two)_before_\w+";/g)).toHaveLength(3);
    });
  });

  describeWithPostgres(17, 'to a newer major', () => {
    test('bring all rows back, and warn of left-overs and refuse extensions that the new major lacks', async () => {
      await using from = await startPostgres(15);
      await using to = await startPostgres(17);
      await from.sql('postgres', 'CREATE DATABASE src');
      await from.sql('src', ...everything);
      await to.sql('postgres', 'CREATE DATABASE x_lifeboat_new_20260101t000000');
      const backup = await recordBackup(postgresSource(from.options({ databases: ['src'] })));
      const decision = await decideTo(to, backup);
      expect(outcomes(decision)).toMatchObject({ 'server version': 'passed', 'left-overs': 'warning' });
      const outcome = await execute(decision);
      expect(outcome.restored[0]).toMatch(/all rows equal$/);
      expect(await to.sql('src', 'SELECT count(*)::int AS n FROM public.types')).toEqual([{ n: 2 }]);

      await from.sql('src', 'CREATE EXTENSION adminpack');
      const wanting = await recordBackup(postgresSource(from.options({ databases: ['src'] })));
      expect((await decideTo(to, wanting)).findings).toContainEqual(
        expect.objectContaining({
          aspect: 'extensions',
          outcome: 'failed',
          message: expect.stringMatching(/: adminpack$/),
        }),
      );
    });
  });

  describeWithPostgres(14, 'to another server', () => {
    test('bring the roles with their passwords, and refuse an older server', async () => {
      await using from = await startPostgres(14);
      await using to = await startPostgres(15);
      await from.sql(
        'postgres',
        `CREATE ROLE "Odd ""; role" LOGIN PASSWORD 'kept'; CREATE ROLE app; GRANT app TO "Odd ""; role"; ALTER ROLE app SET work_mem = '3MB'; COMMENT ON ROLE app IS 'line
        two; ''quoted'''`,
        'CREATE DATABASE src OWNER "Odd ""; role"',
      );
      await from.sql(
        'src',
        'CREATE TABLE t AS SELECT generate_series(1, 10) g; ALTER TABLE t OWNER TO app; CREATE INDEX ON t (g)',
      );
      const backup = await recordBackup(postgresSource(from.options({ databases: ['src'] })));
      const decision = await decideTo(to, backup, '/da%2Fta');
      expect(JSON.stringify(decision)).not.toContain(to.address.password);
      const outcome = await execute(decision);
      expect(outcome.restored).toEqual([
        expect.stringContaining('database da/ta: 1 table, 10 rows, all rows equal'),
        'roles created: Odd "; role, app',
      ]);
      const query = `SELECT rolname::text AS name, rolpassword AS secret, (SELECT setconfig FROM pg_db_role_setting WHERE setrole = a.oid) AS config, shobj_description(oid, 'pg_authid') AS comment,
        ARRAY(SELECT roleid::regrole::text FROM pg_catalog.pg_auth_members m WHERE m.member = a.oid) AS member FROM pg_authid a WHERE rolname IN ('app', 'Odd "; role') ORDER BY 1`;
      expect(await to.sql('da/ta', query)).toEqual(await from.sql('src', query));
      expect(await to.sql('da/ta', "SELECT tableowner::text AS owner FROM pg_tables WHERE tablename = 't'")).toEqual([
        { owner: 'app' },
      ]);

      await to.sql('da/ta', 'CREATE EXTENSION citext');
      const newer = await recordBackup(postgresSource(to.options({ databases: ['da/ta'] })));
      const back = await decideTo(from, newer, '/x');
      expect(outcomes(back)['server version']).toBe('failed');
    });

    test('drop the roles and subscriptions they made when the restore fails', async () => {
      await using from = await startPostgres(14);
      await using to = await startPostgres(15);
      await from.sql('postgres', 'CREATE ROLE app', 'CREATE TABLE t AS SELECT 1 AS a', 'ALTER TABLE t OWNER TO app');
      const publisher = `CONNECTION 'host=127.0.0.1 port=1' PUBLICATION all_of_it WITH (connect = false, slot_name = 'pulls')`;
      await from.sql('postgres', `CREATE SUBSCRIPTION "pu""lls" ${publisher}`);
      const backup = await recordBackup(postgresSource(from.options({ databases: ['postgres'] })));
      const items = backup.recordedFingerprint.items.map((item) => ({ ...item, rows: item.rows + 1 }));
      const wrong = { ...backup, fingerprint: () => Promise.resolve({ ...backup.recordedFingerprint, items }) };
      await expect(execute(await decideTo(to, wrong, '/data'))).rejects.toMatchObject({
        code: 'VERIFICATION_FAILED',
      });
      expect(await databases(to)).toEqual(['postgres', 'template0', 'template1']);
      expect(await to.sql('postgres', "SELECT 1 FROM pg_roles WHERE rolname = 'app'")).toEqual([]);
    });
  });
});

function replaced(bytes: Buffer, text: string, by: string): Buffer {
  const at = bytes.indexOf(text);
  if (at < 0) throw new Error(`no ${text} in the dump`);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(by), bytes.subarray(at + text.length)]);
}

/** Reads well while it is decided (the head of each file), and from then on as `broken` does. */
function halfBroken(whole: RecordedBackup, broken: RecordedBackup): RecordedBackup {
  const seen = new Set<string>();
  return {
    ...whole,
    read: (path, signal) => {
      if (seen.has(path)) return broken.read(path, signal);
      seen.add(path);
      return whole.read(path, signal);
    },
  };
}

/** An application that never stops asking, and reconnects at once; adds each answer to `counts`. */
async function keepAsking(server: TestServer, counts: Set<string>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      const [row] = await server.sql('shop', 'SELECT pg_sleep(0.01)', 'SELECT count(*) FROM public.twins');
      counts.add(String(row?.['count']));
    } catch {
      // Ended by the swap: try again.
    }
  }
}
