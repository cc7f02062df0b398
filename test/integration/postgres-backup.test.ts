// What a logical backup of PostgreSQL stores, and that nothing is stored when anything goes wrong on the way.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
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

    test('databases of other encodings and locales come back, also where this machine lacks the locale', async () => {
      const own = [
        "icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'",
        "latin TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'",
      ];
      await server.sql('postgres', ...own.map((one) => `CREATE DATABASE ${one}`));
      for (const name of ['icu', 'latin'])
        await server.sql(name, "CREATE TABLE t AS SELECT 'Größe' AS a; CREATE UNIQUE INDEX ON t (a)");
      const source = postgresSource(server.options({ databases: ['icu', 'latin'] }));
      const recorded = await recordBackup(source);
      const { databases } = recorded.recordedFacts as { readonly databases: readonly JsonObject[] };
      const foreign = {
        ...recorded.recordedFacts,
        databases: databases.map((one) => ({ ...one, localeProvider: 'c', locale: null, collation: 'xx_XX' })),
      };
      const encoding = {
        sql: "SELECT current_setting('server_encoding') || datlocprovider::text FROM pg_database WHERE datname = current_database()",
      };
      for (const [facts, expected] of [
        [recorded.recordedFacts, ['UTF8i', 'LATIN1c']],
        [foreign, ['UTF8c', 'LATIN1c']],
      ] as const) {
        const reader = { ...recorded, facts: () => Promise.resolve(facts) };
        await using sandbox = await (source.restore as ServiceRestore).sandbox(reader, never);
        await sandbox.restore(reader, never);
        expect(await sandbox.fingerprint(never)).toEqual(recorded.recordedFingerprint);
        const found = [
          await sandbox.valueOf({ ...encoding, database: 'icu' }, never),
          await sandbox.valueOf({ ...encoding, database: 'latin' }, never),
        ];
        expect(found).toEqual(expected);
      }
      await server.sql('postgres', 'DROP DATABASE icu', 'DROP DATABASE latin');
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
      await expect(
        recordBackup(postgresSource(server.options({ databases: ['shop'] })), {
          onChunk: (path) => (path.endsWith('.dump') ? killDumps() : undefined),
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
        code: 'USAGE',
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

function killDumps(): void {
  for (const { pid } of childProcesses('pg_dump')) process.kill(pid, 'SIGKILL');
}
