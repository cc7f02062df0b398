// `lifeboat postgres extract`: tables and databases out of the past into the server that lives on.
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connect } from '../../src/sources/postgres/connection.ts';
import { pastScene, type PastScene } from '../support/past-scene.ts';
import { AppError } from '../../src/base/errors.ts';
import { requireAlike } from '../../src/sources/postgres/past/copy-rows.ts';
import { findTables, requireDistinct } from '../../src/sources/postgres/past/past-tables.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';
import { describeWith } from '../support/tools.ts';

const hostile = `Or'der $(id); DROP TABLE "shop"."lines" --`;
const quoted = `"${hostile.replaceAll('"', '""')}"`;

async function inShop({ cluster }: PastScene, ...statements: readonly string[]): Promise<Record<string, unknown>[]> {
  await using connection = await connect(cluster.address, 'shop', noSignal);
  let rows: Record<string, unknown>[] = [];
  for (const statement of statements) rows = await connection.query(statement);
  return rows;
}

describeWith(['pg_dump'], 'with pg_dump', () => {
  describeWithPostgres(15, 'tables of the past, PostgreSQL 15', () => {
    test('come back beside what is there, row for row, with what is theirs and nothing that acts', async () => {
      await using scene = await pastScene(15);
      await scene.cluster.sql('CREATE DATABASE shop');
      await inShop(
        scene,
        'CREATE SCHEMA shop',
        "CREATE TYPE shop.mood AS ENUM ('good', 'bad')",
        'CREATE TABLE shop.customers (id int PRIMARY KEY)',
        "CREATE TABLE shop.orders (id serial PRIMARY KEY, customer int REFERENCES shop.customers, feels shop.mood, note text CHECK (note <> ''))",
        'CREATE INDEX orders_note ON shop.orders (lower(note))',
        'CREATE TABLE shop.lines (id bigint GENERATED ALWAYS AS IDENTITY, "order" int REFERENCES shop.orders, price numeric)',
        `CREATE TABLE shop.${quoted} (id int, "we""ird" text, twice int GENERATED ALWAYS AS (id * 2) STORED)`,
        'CREATE TABLE shop.events (at date, what text) PARTITION BY RANGE (at)',
        "CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE FUNCTION shop.boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'boom'; END $$",
        "CREATE FUNCTION shop.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        'CREATE VIEW shop.newest AS SELECT * FROM shop.orders ORDER BY id DESC LIMIT 1',
        'INSERT INTO shop.customers VALUES (1), (2)',
        "INSERT INTO shop.orders (customer, feels, note) SELECT 1 + n % 2, 'good', 'note ' || n FROM generate_series(1, 500) n",
        'INSERT INTO shop.lines ("order", price) SELECT n, n * 1.1 FROM generate_series(1, 500) n',
        `INSERT INTO shop.${quoted} SELECT n, 'it''s' FROM generate_series(1, 9) n`,
        "INSERT INTO shop.events VALUES ('2026-11-20', 'one')",
        'CREATE TRIGGER boom BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.boom()',
        'ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY',
        'CREATE POLICY none ON shop.orders USING (false)',
        'CREATE ROLE app',
        'CREATE ROLE keeper',
        "CREATE TABLE shop.stock (sku text, seen serial, customer int REFERENCES shop.customers, note text DEFAULT 'none')",
        'ALTER TABLE shop.stock OWNER TO keeper',
        'CREATE STATISTICS shop.stock_both ON sku, customer FROM shop.stock',
        "INSERT INTO shop.stock (sku, customer) SELECT 'sku ' || n, 1 FROM generate_series(1, 50) n",
        'CREATE TRIGGER boom AFTER DELETE ON shop.stock FOR EACH ROW EXECUTE FUNCTION shop.boom()',
        'ALTER TABLE shop.stock DISABLE TRIGGER boom',
        'GRANT SELECT ON shop.stock TO app WITH GRANT OPTION',
        'GRANT UPDATE (note) ON shop.stock TO PUBLIC',
        'GRANT USAGE ON SEQUENCE shop.stock_seen_seq TO app',
        'ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO app',
        'CREATE PUBLICATION outgoing FOR TABLE shop.customers',
        "CREATE SUBSCRIPTION incoming CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)",
      );
      await scene.begin();
      await inShop(
        scene,
        "INSERT INTO shop.orders (customer, feels, note) VALUES (1, 'bad', 'the last')",
        'CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION shop.no_ddl()',
      );
      const before = await scene.position();
      await inShop(
        scene,
        'DROP EVENT TRIGGER no_ddl',
        'DELETE FROM shop.lines',
        'DELETE FROM shop.stock',
        `DROP TABLE shop.${quoted}`,
      );
      await inShop(scene, 'DELETE FROM shop.orders', 'DROP TABLE shop.events');
      await scene.end();
      const at = ['--lsn', before, '--exclusive'];

      const tables = ['--table', 'shop.orders', '--table', 'lines', '--table', `shop.${hostile}`, '--table', 'events'];
      const dry = await scene.succeed(
        'postgres',
        'extract',
        'database',
        ...at,
        ...tables,
        '--as',
        'res"cued',
        '--dry-run',
      );
      expect(dry.stdout).toContain('nothing was done: --dry-run');
      expect(await inShop(scene, "SELECT FROM pg_namespace WHERE nspname LIKE 'res%'")).toEqual([]);
      // What stands in the way of a schema change at the original does not stand in ours.
      await scene.succeed('postgres', 'extract', 'database', ...at, ...tables, '--as', 'res"cued', '--json');
      const [found] = await inShop(
        scene,
        `SELECT (SELECT count(*)::int FROM "res""cued".orders) AS orders, (SELECT max(note) FROM "res""cued".orders) AS last,
                (SELECT sum(price)::text FROM "res""cued".lines) AS sum, (SELECT count(*)::int FROM "res""cued".${quoted}) AS odd,
                (SELECT what FROM "res""cued".events) AS event, (SELECT count(*)::int FROM shop.orders) AS live`,
      );
      expect(found).toEqual({ orders: 501, last: 'the last', sum: '137775.0', odd: 9, event: 'one', live: 0 });
      const constraints = await inShop(
        scene,
        `SELECT conname, confrelid::regclass::text AS refers FROM pg_constraint WHERE connamespace = '"res""cued"'::regnamespace ORDER BY 1`,
      );
      expect(constraints).toEqual([
        { conname: 'lines_order_fkey', refers: '"res""cued".orders' },
        { conname: 'orders_note_check', refers: '-' },
        { conname: 'orders_pkey', refers: '-' },
      ]);
      // Nothing acts, and nothing hides: an update goes through, new rows get new numbers.
      await inShop(scene, `UPDATE "res""cued".orders SET note = note || '!' WHERE id = 1`);
      const [added] = await inShop(scene, `INSERT INTO "res""cued".orders (note) VALUES ('new') RETURNING id`);
      // The log holds sequences up to 32 ahead.
      expect(added?.['id']).toBeGreaterThan(501);
      expect(
        await inShop(
          scene,
          "SELECT indexdef FROM pg_indexes WHERE schemaname = 'res\"cued' AND indexname = 'orders_note'",
        ),
      ).toHaveLength(1);

      const again = await scene.run(['postgres', 'extract', 'database', ...at, ...tables, '--as', 'res"cued']);
      expect(again.exitCode).not.toBe(0);
      expect(again.stderr).toMatch(/has a schema res"cued/);
      // Tables, in the place of those that are there: with what is theirs, and only where nobody would go on to mean the old ones.
      const dependent = ['postgres', 'extract', 'database', ...at, '--table', 'shop.orders', '--replace', '--dry-run'];
      const refused = await scene.run(dependent);
      expect(refused).toMatchObject({ exitCode: 1, stderr: '' });
      expect(refused.stdout.replaceAll(/\s+/g, ' ')).toMatch(
        /would still mean the old tables: .*lines_order_fkey on table shop.lines, policy none on table shop.orders, row level security on table shop.orders, .*view shop.newest/,
      );
      const facts = `
        SELECT (SELECT count(*)::int FROM shop.stock) AS rows, relacl::text AS rights, relowner::regrole::text AS owner,
               (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'note') AS column,
               (SELECT relacl::text FROM pg_class WHERE oid = pg_get_serial_sequence('shop.stock', 'seen')::regclass) AS sequence,
               (SELECT string_agg(tgname || tgenabled::text, ' ') FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) AS triggers,
               (SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint WHERE conrelid = c.oid) AS keys,
               (SELECT string_agg(pg_get_statisticsobjdef(oid), ' ') FROM pg_statistic_ext WHERE stxrelid = c.oid) AS statistics
          FROM pg_class c WHERE oid = 'shop.stock'::regclass`;
      const [was] = await inShop(scene, facts);
      expect(was).toMatchObject({ rows: 0, owner: 'keeper', triggers: 'boomD' });
      const replacing = ['postgres', 'extract', 'database', ...at, '--table', 'stock', '--replace', '--as', 'old"ones'];
      const replaced = await scene.succeed(...replacing, '--yes');
      expect(replaced.stdout.replaceAll(/\s+/g, ' ')).toMatch(
        /shop.stock: 50 rows kept: the earlier ones are in schema old"ones; remove them with DROP SCHEMA "old""ones" CASCADE/,
      );
      expect(await inShop(scene, facts)).toEqual([{ ...was, rows: 50 }]);
      const [left] = await inShop(
        scene,
        `SELECT (SELECT count(*)::int FROM "old""ones".stock) AS kept, (SELECT count(*)::int FROM pg_namespace WHERE nspname LIKE 'lifeboat_new%') AS new`,
      );
      expect(left).toEqual({ kept: 0, new: 0 });
      // The whole database, in the place of the one that is there.
      // Said before anything is brought there: no backup leads to this instant.
      await scene.cluster.sql('ALTER ROLE app LOGIN');
      const { host, port } = scene.cluster.address;
      const never = [
        'postgres',
        'extract',
        'database',
        '--at',
        '2001-01-01T00:00:00Z',
        '--to',
        `postgres://app@${host}:${port}/shop`,
      ];
      expect((await scene.run([...never, '--table', 'shop.orders'])).stderr).toContain(
        'app may not create schemas in shop',
      );
      expect((await scene.run(never)).stderr).toContain('app may not create databases');
      const unasked = await scene.run(['postgres', 'extract', 'database', ...at, '--replace']);
      expect(unasked.stderr).toMatch(/was not confirmed/);
      expect(unasked.stderr).toMatch(/left behind: subscription incoming/);
      expect(await inShop(scene, 'SELECT count(*)::int AS n FROM shop.orders')).toEqual([{ n: 0 }]);
      await scene.succeed('postgres', 'extract', 'database', ...at, '--replace', '--yes');
      expect(await inShop(scene, 'SELECT count(*)::int AS n FROM shop.orders')).toEqual([{ n: 501 }]);
      const [replication] = await inShop(
        scene,
        `SELECT ARRAY(SELECT pubname::text FROM pg_publication) AS out,
                (SELECT count(*)::int FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = 'shop') AS in`,
      );
      expect(replication).toEqual({ out: ['outgoing'], in: 0 });
      const names = await scene.cluster.sql(
        "SELECT datname::text AS name FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1",
      );
      expect(names.map(({ name }) => String(name).replace(/\d{8}t\d{6}$/, '…'))).toEqual(['shop', 'shop_before_…']);
      expect(readdirSync(scene.sandboxes).filter((name) => name.startsWith('lifeboat-'))).toEqual([]);
    }, 180_000);
  });
});

describeWithPostgres(15, 'words for tables, PostgreSQL 15', () => {
  test('mean the exact name first, then what SQL would make of it, and nothing that is no table of its own', async () => {
    await using server = await startPostgres(15);
    await server.sql(
      'postgres',
      'CREATE SCHEMA shop',
      'CREATE TABLE shop.orders (id int)',
      'CREATE TABLE public.lines (id int)',
      'CREATE TABLE shop.lines (id int)',
      'CREATE TABLE "Lines" (id int)',
      `CREATE TABLE ${quoted} (id int)`,
      'CREATE TABLE shop.only_one (id int)',
      'CREATE VIEW newest AS SELECT * FROM shop.orders',
    );
    await using connection = await connect(server.address, 'postgres', noSignal);
    const find = async (...words: readonly string[]) =>
      (await findTables(connection, words)).map(({ schema, name }) => `${schema} ${name}`);
    expect(await find('shop.orders')).toEqual(['shop orders']);
    expect(await find('only_one')).toEqual(['shop only_one']);
    expect(await find('lines')).toEqual(['public lines']);
    expect(await find('Lines')).toEqual(['public Lines']);
    expect(await find('SHOP.Lines')).toEqual(['shop lines']);
    expect(await find('"Lines"', 'Lines')).toEqual(['public Lines']);
    expect(await find(hostile, quoted)).toEqual([`public ${hostile}`]);
    await expect(find('ordres')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('shop.orders'),
    });
    await expect(find("'; DROP TABLE lines")).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(find('newest')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(find('pg_class')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(() => requireDistinct([{ name: 'a' }, { name: 'b' }, { name: 'a' }])).toThrow(
      /more than one .* is called a/,
    );
  });
});

describeWithPostgres(18, 'rows of the past, PostgreSQL 18, with pg_dump or without', () => {
  test('come back into tables like those that are there, and only where there are such', async () => {
    await using scene = await pastScene(18);
    await scene.cluster.sql('CREATE DATABASE shop');
    await inShop(
      scene,
      "CREATE TYPE mood AS ENUM ('good', 'bad')",
      'CREATE TABLE odd (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, feels mood, at timestamptz, bits bytea, list text[], doc jsonb, amount numeric, twice int GENERATED ALWAYS AS (id * 2) STORED, fixed char(5))',
      "INSERT INTO odd (feels, at, bits, list, doc, amount, fixed) SELECT 'bad', now(), decode(md5(n::text), 'hex'), ARRAY['a,\"b\"', NULL, n::text], jsonb_build_object('n', 12345678901234567890), n / 7.0, 'x' FROM generate_series(1, 1201) n",
      'INSERT INTO odd DEFAULT VALUES',
    );
    await scene.begin();
    const before = await scene.position();
    await inShop(scene, 'DELETE FROM odd');
    await scene.end();
    const at = ['--lsn', before, '--exclusive', '--table', 'odd'];
    await scene.succeed('postgres', 'extract', 'database', ...at, '--as', 'rescued');
    const [found] = await inShop(
      scene,
      "SELECT count(*)::int AS rows, sum(twice)::int AS twice, count(*) FILTER (WHERE list[2] IS NULL AND doc->>'n' = '12345678901234567890')::int AS exact FROM rescued.odd",
    );
    expect(found).toEqual({ rows: 1202, twice: 1202 * 1203, exact: 1201 });
  }, 180_000);

  test('name the package where rows alone do not help', async () => {
    await using server = await startPostgres(18);
    await server.sql('postgres', 'CREATE TABLE now_other (id int, more text)');
    await using connection = await connect(server.address, 'postgres', noSignal);
    const [table] = await findTables(connection, ['public.now_other']);
    const missing = new AppError('TOOL_MISSING', 'no pg_dump', { hint: 'Install it.' });
    if (table === undefined) throw new Error('no table');
    await requireAlike({ past: connection, live: connection }, [table], missing);
    await using empty = await connect(server.address, 'template1', noSignal);
    await expect(requireAlike({ past: connection, live: empty }, [table], missing)).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      message: 'no pg_dump; and public.now_other is not there any more',
    });
    await empty.query('CREATE TABLE public.now_other (id bigint, more text)');
    await expect(requireAlike({ past: connection, live: empty }, [table], missing)).rejects.toMatchObject({
      message: 'no pg_dump; and public.now_other has other columns now',
    });
  });
});
