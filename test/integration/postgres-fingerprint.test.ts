// One row lost, changed, added or doubled must show, and nothing else may: the promise that every proof rests on.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareFingerprints, type Fingerprint } from '../../src/model/fingerprint.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { ServiceRestore, Source } from '../../src/sources/source.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { everything } from '../support/postgres-samples.ts';
import { recordBackup, type RecordedBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;

async function fingerprintOf(source: Source): Promise<Fingerprint> {
  return (await recordBackup(source)).recordedFingerprint;
}

/** What differs between a recovery point and what a sandbox makes of it. */
async function lostInSandbox(source: Source, backup: RecordedBackup): Promise<string[]> {
  await using sandbox = await (source.restore as ServiceRestore).sandbox(backup, never);
  await sandbox.restore(backup, never);
  return compareFingerprints(backup.recordedFingerprint, await sandbox.fingerprint(never)).map(({ name }) => name);
}

describeWith(['pg_dump'], 'PostgreSQL fingerprints', () => {
  describeWithPostgres(15, 'of a database with everything in it', () => {
    let server: TestServer;
    let source: Source;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', ...everything);
      source = postgresSource(server.options({ databases: ['shop'] }));
    });
    afterAll(() => server[Symbol.asyncDispose]());

    test('it names every table, sequence, large object and kind of structure', async () => {
      const { items } = await fingerprintOf(source);
      const rows = Object.fromEntries(items.map((item) => [item.name, item.rows]));
      expect(rows).toMatchObject({
        'shop.public.types': 2,
        'shop.public.dropped': 10,
        'shop.public.parent': 1,
        'shop.public.child': 1,
        'shop.public.days_old': 11,
        'shop.public.days_rest': 19,
        'shop.public.nothing': 1,
        'shop.public.empty': 0,
        'shop.public.unlogged': 1,
        'shop.public.twins': 4,
        'shop."we.ird ""schema"""."a.b/c \'d\'"': 1,
        'shop.public."Odd seq" (sequence)': 1,
        'shop.public.types_id_seq (sequence)': 1,
        'shop (large objects)': 2,
        'shop (schema: indexes)': 8,
        'shop (schema: triggers)': 1,
        'shop (schema: policies)': 1,
      });
      expect(Object.keys(rows)).not.toContain('shop.public.counted');
    });

    const changes: readonly (readonly [string, string, readonly string[]])[] = [
      ['a lost row', 'DELETE FROM days WHERE day = (SELECT min(day) FROM days)', ['shop.public.days_old']],
      ['one changed bit', "UPDATE types SET b = '\\x00ff0b' WHERE id = 1", ['shop.public.types']],
      ['an added row', 'INSERT INTO empty VALUES (NULL)', ['shop.public.empty']],
      ['a doubled row', 'INSERT INTO twins (a) VALUES (2)', ['shop.public.twins']],
      [
        'one of two equal rows gone',
        'DELETE FROM twins WHERE ctid = (SELECT min(ctid) FROM twins)',
        ['shop.public.twins'],
      ],
      ['a null that became empty', 'UPDATE types SET v = NULL, t = NULL WHERE id = 2', ['shop.public.types']],
      ['a value that moved to another column', 'UPDATE ONLY parent SET a = later, later = a', ['shop.public.parent']],
      [
        'a row that moved to another table',
        'WITH gone AS (DELETE FROM ONLY parent RETURNING a, later) INSERT INTO child (a, later) SELECT * FROM gone',
        ['shop.public.parent', 'shop.public.child'],
      ],
      ['a sequence that went on', 'SELECT nextval(\'"Odd seq"\')', ['shop.public."Odd seq" (sequence)']],
      ['a sequence that was never used', "SELECT nextval('untouched')", ['shop.public.untouched (sequence)']],
      ['one byte of a large object', "SELECT lo_put(4712, 4999999, 'x')", ['shop (large objects)']],
      ['a lost partial index', 'DROP INDEX dropped_c', ['shop (schema: indexes)']],
      ['a lost trigger', 'DROP TRIGGER stamp ON dropped', ['shop (schema: triggers)']],
      ['a lost constraint', 'ALTER TABLE types DROP CONSTRAINT types_v_check', ['shop (schema: constraints)']],
      ['another default', 'ALTER TABLE twins ALTER COLUMN a SET DEFAULT 1', ['shop (schema: columns)']],
      [
        'another function body',
        "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        ['shop (schema: functions)'],
      ],
      ['another label', "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", ['shop (schema: types)']],
      ['a database setting', "ALTER DATABASE shop SET work_mem = '5MB'", ['shop (schema: settings)']],
    ];
    for (const [title, statement, names] of changes) {
      test(`${title} changes ${names.join(' and ')} and nothing else`, async () => {
        const before = await fingerprintOf(source);
        await server.sql('shop', statement);
        const after = await fingerprintOf(source);
        expect(
          compareFingerprints(before, after)
            .map(({ name }) => name)
            .toSorted(),
        ).toEqual([...names].toSorted());
      });
    }

    test('it does not depend on how rows lie on disk nor on the settings of database and role', async () => {
      const before = await fingerprintOf(source);
      await server.sql(
        'shop',
        'CREATE TABLE shuffled AS SELECT * FROM days ORDER BY random(); TRUNCATE days; INSERT INTO days SELECT * FROM shuffled; DROP TABLE shuffled',
        'VACUUM FULL',
        `ALTER ROLE lifeboat SET DateStyle = 'German'; ALTER ROLE lifeboat SET TimeZone = 'Asia/Tokyo';
         ALTER ROLE lifeboat SET extra_float_digits = 0; ALTER ROLE lifeboat SET bytea_output = 'escape';
         ALTER ROLE lifeboat SET IntervalStyle = 'iso_8601'; ALTER ROLE lifeboat SET search_path = 'public';
         ALTER ROLE lifeboat SET statement_timeout = '5s'; ALTER ROLE lifeboat SET idle_in_transaction_session_timeout = 1`,
      );
      try {
        expect(compareFingerprints(before, await fingerprintOf(source))).toEqual([]);
      } finally {
        await server.sql('postgres', 'ALTER ROLE lifeboat RESET ALL');
      }
    });

    test('it speaks of the dumped rows while others write, add tables, and draw from sequences', async () => {
      await server.sql(
        'shop',
        "CREATE TABLE busy (id serial PRIMARY KEY, t text); INSERT INTO busy (t) SELECT repeat('x', 1000) FROM generate_series(1, 20000)",
      );
      let written = 0;
      const backup = await recordBackup(source, {
        onChunk: async () => {
          // The first chunk is of the roles: these writes come after the snapshot and before pg_dump's first look.
          if ((written += 1) % 20 !== 1) return;
          await server.sql(
            'shop',
            "INSERT INTO busy (t) VALUES ('more')",
            'DELETE FROM busy WHERE id = (SELECT min(id) FROM busy)',
            `CREATE TABLE new_${written} (a int)`,
          );
        },
      });
      expect(written).toBeGreaterThan(100);
      expect(backup.recordedFingerprint.items).toContainEqual(
        expect.objectContaining({ name: 'shop.public.busy', rows: 20_000 }),
      );
      expect(await lostInSandbox(source, backup)).toEqual([]);
    });

    test('a table that is truncated while the backup runs is stored with all its rows', async () => {
      await server.sql('shop', 'CREATE TABLE victim AS SELECT g FROM generate_series(1, 1000) g');
      let truncated: Promise<unknown> | undefined;
      const backup = await recordBackup(source, {
        onChunk: (path) => {
          if (path.endsWith('.dump')) truncated ??= server.sql('shop', 'TRUNCATE victim');
        },
      });
      await truncated;
      expect(backup.recordedFingerprint.items).toContainEqual(
        expect.objectContaining({ name: 'shop.public.victim', rows: 1000 }),
      );
      expect(await lostInSandbox(source, backup)).toEqual([]);
    });
  });
});
