// What a role without all rights, or a wrong address, makes of a backup and a restore; and whether the check said so before.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { ServiceRestore } from '../../src/sources/source.ts';
import { describeWithPostgres, letIn, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { recordBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;

describeWith(['pg_dump'], 'PostgreSQL rights', () => {
  describeWithPostgres(15, 'of a server with little roles', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', 'CREATE TABLE big AS SELECT generate_series(1, 10) g');
    });
    afterAll(() => server[Symbol.asyncDispose]());

    const backup = (changes: Partial<PostgresOptions> = {}) => recordBackup(postgresSource(server.options(changes)));
    async function findings(changes: Partial<PostgresOptions>): Promise<Finding[]> {
      return Array.fromAsync(postgresSource(server.options(changes)).check(never));
    }

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
      expect([whole.problems, whole.notes, whole.recordedFacts['notes']]).toEqual([[], [], []]);
      expect(whole.files.get('/globals.sql')?.toString()).toContain('SCRAM-SHA-256$');
      const plain = { user: 'plain', password: 'plain-secret', databases: ['shop'] };
      expect((await findings(plain)).filter(({ outcome }) => outcome !== 'passed')).toEqual([
        expect.objectContaining({ aspect: 'roles', outcome: 'warning', hint: expect.stringContaining('pg_authid') }),
      ]);
      const lesser = await backup(plain);
      const message = 'roles without their passwords: plain may not read pg_authid';
      expect(lesser.problems).toEqual([]);
      expect(lesser.notes).toEqual([{ path: '/globals.sql', message }]);
      expect(lesser.recordedFacts['notes']).toEqual([message]);
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

    test('a role that may create databases but is no superuser restores, and its role stands in for owners it may not give to', async () => {
      await server.sql(
        'postgres',
        "CREATE ROLE maker LOGIN PASSWORD 'maker-secret'; CREATE ROLE owner_of_all",
        'CREATE DATABASE made OWNER owner_of_all',
      );
      await server.sql(
        'made',
        'CREATE TABLE t AS SELECT generate_series(1, 5) g; ALTER TABLE t OWNER TO owner_of_all; CREATE INDEX ON t (g)',
      );
      await letIn(server, 'maker');
      const whole = await backup({ databases: ['made'] });
      const maker = server.options({ user: 'maker', password: 'maker-secret' });
      const restore = postgresSource(maker).restore as ServiceRestore;
      const forbidden = await restore.decide(whole, { to: 'copy', include: [] }, never);
      expect(forbidden.findings).toContainEqual(
        expect.objectContaining({
          aspect: 'rights',
          outcome: 'failed',
          hint: 'Run as a superuser: ALTER ROLE "maker" CREATEDB;',
        }),
      );
      await server.sql('postgres', 'ALTER ROLE maker CREATEDB');
      const decision = await restore.decide(whole, { to: 'copy', include: [] }, never);
      expect(decision.findings.filter(({ outcome }) => outcome === 'warning')).toEqual([
        expect.objectContaining({ aspect: 'roles' }),
      ]);
      const outcome = await decision.execute({ step: () => undefined, bytes: () => undefined }, never);
      expect(outcome.restored[0]).toMatch(
        /^database copy: 1 table, 5 rows, all rows equal; not restored: its owner owner_of_all \(must be member of role "owner_of_all"\)/,
      );
      expect(await server.sql('copy', "SELECT tableowner::text AS owner FROM pg_tables WHERE tablename = 't'")).toEqual(
        [{ owner: 'maker' }],
      );
    });
  });
});
