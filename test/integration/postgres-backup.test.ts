// What a logical backup of PostgreSQL stores, and that nothing is stored when anything goes wrong on the way.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { ServiceRestore } from '../../src/sources/source.ts';
import { childProcesses } from '../support/child-processes.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { recordBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;
const bigTable = 'CREATE TABLE big AS SELECT g, repeat(md5(g::text), 30) AS t FROM generate_series(1, 20000) g';

describeWith(['pg_dump'], 'PostgreSQL backups', () => {
  describeWithPostgres(15, 'of a server of pg_dump’s own version', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop', 'CREATE DATABASE plain');
      await server.sql('shop', bigTable);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    const backup = (changes: Partial<PostgresOptions> = {}) => recordBackup(postgresSource(server.options(changes)));
    async function findings(changes: Partial<PostgresOptions>): Promise<Finding[]> {
      return Array.fromAsync(postgresSource(server.options(changes)).check(never));
    }

    test('names with quotes, slashes, equals signs and other scripts are stored, told apart and proved', async () => {
      const names = [
        'a/b',
        'a%2Fb',
        'qu\'o"te',
        'postgres://evil:1/x',
        'dbname=template1',
        'größe 数',
        '..',
        ' ',
        '-d',
      ];
      for (const name of names) {
        await server.sql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
        await server.sql(name, 'CREATE TABLE t AS SELECT current_database()::text AS name');
      }
      const source = postgresSource(server.options({ databases: names }));
      const recorded = await recordBackup(source);
      await using sandbox = await (source.restore as ServiceRestore).sandbox(recorded, never);
      await sandbox.restore(recorded, never);
      expect(await sandbox.fingerprint(never)).toEqual(recorded.recordedFingerprint);
      for (const name of names)
        expect(await sandbox.valueOf({ sql: 'SELECT name FROM t', database: name }, never)).toBe(name);
      for (const name of names) await server.sql('postgres', `DROP DATABASE "${name.replaceAll('"', '""')}"`);
    });

    test('facts tell version, owner, size, extensions, settings and the schema version of each database', async () => {
      await server.sql(
        'plain',
        "CREATE EXTENSION citext; CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('4ae1027a6acf')",
      );
      await server.sql('plain', "COMMENT ON DATABASE plain IS 'for tests'; ALTER DATABASE plain SET work_mem = '7MB'");
      const { recordedFacts } = await backup({ databases: ['plain'], schemaVersionQuery: "SELECT '2.7'" });
      expect(recordedFacts).toMatchObject({
        serverMajor: 15,
        pgDumpVersion: expect.stringMatching(/^15\./),
        databases: [
          {
            name: 'plain',
            owner: 'lifeboat',
            encoding: 'UTF8',
            collation: 'C',
            comment: 'for tests',
            sizeBytes: expect.any(Number),
            settings: [{ role: null, setting: 'work_mem=7MB' }],
            extensions: [{ name: 'citext' }, { name: 'plpgsql' }],
            schemaVersions: [
              { tool: 'own', version: '2.7' },
              { tool: 'Alembic', from: 'public.alembic_version', version: '4ae1027a6acf' },
            ],
          },
        ],
      });
    });

    test('a schema version query that fails is a problem of the backup, not its end', async () => {
      const { problems, files } = await backup({ databases: ['plain'], schemaVersionQuery: 'SELECT nonsense' });
      expect(problems).toEqual([{ path: '/databases/plain.dump', message: expect.stringContaining('nonsense') }]);
      expect([...files.keys()]).toEqual(['/globals.sql', '/databases/plain.dump']);
    });

    test('rows stand in the dump uncompressed, so that the next dump shares their bytes', async () => {
      const { files } = await backup({ databases: ['shop'] });
      expect(files.get('/databases/shop.dump')?.includes('98f13708210194c475687be6106a3b84'.repeat(30))).toBe(true);
    });

    test('no password is in the arguments of any program while it runs', async () => {
      const seen: string[][] = [];
      await recordBackup(postgresSource(server.options({ databases: ['shop'] })), {
        onChunk: () => void seen.push(...childProcesses('pg_dump').map((child) => [...child.arguments])),
      });
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.flat().filter((argument) => argument.includes(server.address.password ?? ''))).toEqual([]);
    });

    test('a pg_dump that is killed fails the backup', async () => {
      const kill = (): void => childProcesses('pg_dump').forEach(({ pid }) => process.kill(pid, 'SIGKILL'));
      await expect(
        recordBackup(postgresSource(server.options({ databases: ['shop'] })), {
          onChunk: (path) => (path.endsWith('.dump') ? kill() : undefined),
        }),
      ).rejects.toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringContaining('killed by SIGKILL') });
    });

    test('a dump whose connection is ended by the server fails the backup with the server’s words', async () => {
      const end = (): Promise<unknown> =>
        server.sql(
          'postgres',
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND query LIKE 'COPY%'",
        );
      await expect(
        recordBackup(postgresSource(server.options({ databases: ['shop'] })), {
          onChunk: async (path) => void (path.endsWith('.dump') && (await end())),
        }),
      ).rejects.toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringMatching(/terminat|closed/) });
    });

    test('a fingerprint whose snapshot was lost fails the backup', async () => {
      const source = postgresSource(server.options({ databases: ['shop'] }));
      const end = (): Promise<unknown> =>
        server.sql(
          'postgres',
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND state = 'idle in transaction'",
        );
      await expect(
        recordBackup(source, { onChunk: async (path) => void (path.endsWith('.dump') && (await end())) }),
      ).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    });

    test('an interrupted backup leaves no pg_dump and no session behind', async () => {
      const controller = new AbortController();
      const interrupted = recordBackup(postgresSource(server.options({ databases: ['shop'] })), {
        signal: controller.signal,
        onChunk: (path) => (path.endsWith('.dump') ? controller.abort(new Error('enough')) : undefined),
      });
      await expect(interrupted).rejects.toThrow('enough');
      await expect.poll(() => childProcesses('pg_dump')).toEqual([]);
      await expect
        .poll(() => server.sql('postgres', "SELECT pid FROM pg_stat_activity WHERE datname = 'shop'"))
        .toEqual([]);
    });

    test('a schema change in progress is waited for, but not for ever', async () => {
      const blocker = server.sql('shop', 'BEGIN; ALTER TABLE big ADD COLUMN x int; SELECT pg_sleep(3); ROLLBACK');
      await expect
        .poll(() =>
          server.sql('postgres', "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL"),
        )
        .not.toEqual([]);
      await expect(backup({ databases: ['shop'], lockWaitMaxMs: 100 })).rejects.toMatchObject({
        code: 'SOURCE_FAILED',
        hint: expect.stringContaining('schema change'),
      });
      await backup({ databases: ['shop'], lockWaitMaxMs: 30_000 });
      await blocker;
    });

    test('a role with pg_read_all_data backs up everything, one with plain grants all but the role passwords, and says so', async () => {
      await server.sql(
        'postgres',
        "CREATE ROLE reader LOGIN PASSWORD 'reader-secret'; GRANT pg_read_all_data TO reader; CREATE ROLE plain LOGIN PASSWORD 'plain-secret'",
      );
      await server.sql('shop', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain');
      await letIn(server, 'reader');
      await letIn(server, 'plain');
      const reader = { user: 'reader', password: 'reader-secret', databases: ['shop'] };
      expect((await findings(reader)).filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
      const whole = await backup(reader);
      expect(whole.problems).toEqual([]);
      expect(whole.files.get('/globals.sql')?.toString()).toContain('SCRAM-SHA-256$');
      const plain = { user: 'plain', password: 'plain-secret', databases: ['shop'] };
      expect((await findings(plain)).filter(({ outcome }) => outcome !== 'passed')).toEqual([
        expect.objectContaining({ aspect: 'roles', outcome: 'warning', hint: expect.stringContaining('pg_authid') }),
      ]);
      const lesser = await backup(plain);
      expect(lesser.problems).toEqual([{ path: '/globals.sql', message: expect.stringContaining('pg_authid') }]);
      expect(lesser.files.get('/globals.sql')?.toString()).toContain('CREATE ROLE reader');
      expect(lesser.files.get('/globals.sql')?.toString()).not.toContain('SCRAM-SHA-256$');
    });

    test('what a role may not read is named by the check with the GRANT that mends it, and fails the backup', async () => {
      await server.sql('postgres', "CREATE ROLE poor LOGIN PASSWORD 'poor-secret'");
      await letIn(server, 'poor');
      const options = { user: 'poor', password: 'poor-secret', databases: ['shop'] };
      expect(await findings(options)).toContainEqual({
        aspect: 'rights in shop',
        outcome: 'failed',
        message: expect.stringContaining('public.big'),
        hint: 'Run as a superuser: GRANT pg_read_all_data TO "poor";',
      });
      await expect(backup(options)).rejects.toMatchObject({
        code: 'SOURCE_DENIED',
        message: expect.stringContaining('permission denied'),
      });
      await server.sql('postgres', 'GRANT pg_read_all_data TO "poor"');
      expect((await findings(options)).filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      await server.sql('shop', 'CREATE TABLE rls (a int); ALTER TABLE rls ENABLE ROW LEVEL SECURITY');
      expect(await findings(options)).toContainEqual(
        expect.objectContaining({
          aspect: 'row security in shop',
          outcome: 'failed',
          hint: expect.stringContaining('BYPASSRLS'),
        }),
      );
      await expect(backup(options)).rejects.toMatchObject({
        code: 'SOURCE_FAILED',
        message: expect.stringContaining('row-level security'),
      });
      await server.sql('shop', 'DROP TABLE rls; SELECT lo_create(99)');
      expect(await findings(options)).toContainEqual(
        expect.objectContaining({ aspect: 'large objects in shop', outcome: 'failed' }),
      );
      await server.sql('shop', 'SELECT lo_unlink(99)');
    });

    test.each([
      ['a wrong password', { password: 'wrong' }, 'SOURCE_DENIED'],
      ['no password', { password: undefined }, 'SOURCE_DENIED'],
      ['a role that is not let in', { user: 'nobody' }, 'SOURCE_DENIED'],
      ['a database that does not exist', { databases: ['nope'] }, 'SOURCE_UNREACHABLE'],
      ['a second database that does not exist', { databases: ['shop', 'nope'] }, 'SOURCE_UNREACHABLE'],
      ['a port where nobody listens', { port: 1 }, 'SOURCE_UNREACHABLE'],
      ['a host that does not exist', { host: 'no-such-host.invalid' }, 'SOURCE_UNREACHABLE'],
      ['a socket folder that does not exist', { host: '/nonexistent' }, 'SOURCE_UNREACHABLE'],
      ['TLS where the server has none', { ssl: { mode: 'require' } as const }, 'SOURCE_UNREACHABLE'],
      ['an unreadable password file', { password: undefined, passwordFile: '/nonexistent' }, 'CONFIG_INVALID'],
    ] satisfies [string, Partial<PostgresOptions>, string][])(
      '%s is told with a code and a hint and no secret',
      async (_, changes, code) => {
        const error: unknown = await backup(changes).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code, hint: expect.stringMatching(/^[A-Z].*\.$/) });
        expect(JSON.stringify(error)).not.toContain(server.address.password);
        expect((await findings(changes))[0]).toMatchObject({ aspect: 'connection', outcome: 'failed' });
      },
    );

    test('a password file is read anew, and TLS that is preferred but absent is done without', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'lifeboat-test-'));
      await writeFile(join(folder, 'password'), `${server.address.password ?? ''}\n`);
      const { files } = await backup({
        password: undefined,
        passwordFile: join(folder, 'password'),
        ssl: { mode: 'prefer' },
        databases: ['plain'],
      });
      expect(files.size).toBe(2);
      await rm(folder, { recursive: true });
    });
  });

  describeWithPostgres(14, 'of a server older than pg_dump', () => {
    test('come back in a server of the old major with the same fingerprint', async () => {
      await using server = await startPostgres(14);
      await server.sql('postgres', 'CREATE DATABASE old', 'CREATE ROLE app');
      await server.sql(
        'old',
        'CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 100) g; ALTER TABLE t OWNER TO app; CREATE INDEX ON t (g)',
      );
      const source = postgresSource(server.options({ databases: ['old'] }));
      const recorded = await recordBackup(source);
      await using sandbox = await (source.restore as ServiceRestore).sandbox(recorded, never);
      expect(sandbox.description).toMatch(/^PostgreSQL 14\./);
      await sandbox.restore(recorded, never);
      expect(await sandbox.fingerprint(never)).toEqual(recorded.recordedFingerprint);
      expect(await sandbox.valueOf({ sql: "SELECT tableowner FROM pg_tables WHERE tablename = 't'" }, never)).toBe(
        'app',
      );
      expect(await sandbox.valueOf({ sql: 'SELECT count(*) FROM t' }, never)).toBe('100');
      await expect(sandbox.valueOf({ sql: 'DELETE FROM t' }, never)).rejects.toMatchObject({
        message: expect.stringContaining('read-only'),
      });
      await expect(sandbox.valueOf({ keys: '*' }, never)).rejects.toMatchObject({ code: 'USAGE' });
    });
  });

  describeWithPostgres(17, 'of a server newer than any pg_dump here', () => {
    test('name the package that is missing, in the check as in the backup', async () => {
      await using server = await startPostgres(17);
      const source = postgresSource(server.options());
      await expect(recordBackup(source)).rejects.toMatchObject({
        code: 'TOOL_MISSING',
        hint: expect.stringContaining('postgresql-client-17'),
      });
      expect(await Array.fromAsync(source.check(never))).toContainEqual(
        expect.objectContaining({ aspect: 'pg_dump', outcome: 'failed', message: expect.stringContaining('only 15.') }),
      );
    });
  });

  describeWithPostgres(15, 'of a server that goes away', () => {
    test('fail, whether it stops in the middle of a dump or before', async () => {
      const server = await startPostgres(15);
      await server.sql('postgres', bigTable);
      const source = postgresSource(server.options());
      await expect(
        recordBackup(source, {
          onChunk: async (path) => void (path.endsWith('.dump') && (await server[Symbol.asyncDispose]())),
        }),
      ).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
      await expect(recordBackup(source)).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    });
  });
});

/** A throw-away server lets in its superuser only: adds a rule for one more role. */
async function letIn(server: TestServer, role: string): Promise<void> {
  const rule = `host all ${role} 127.0.0.1/32 scram-sha-256`;
  const query = "SELECT current_setting('hba_file') AS path, pg_read_file(current_setting('hba_file')) AS text";
  const [file] = await server.sql('postgres', query);
  await writeFile(String(file?.['path']), `${String(file?.['text'])}${rule}\n`);
  await server.sql('postgres', 'SELECT pg_reload_conf()', 'SELECT pg_sleep(0.3)');
}
