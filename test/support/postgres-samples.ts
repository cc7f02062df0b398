// Databases that hold everything that may get lost on the way through a dump.

/** Statements for a database of its own, as a superuser. */
export const everything: readonly string[] = [
  'CREATE EXTENSION citext; CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore',
  "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE pair AS (a int, b text)",
  'CREATE DOMAIN short AS text CHECK (length(VALUE) < 20); CREATE TYPE span AS RANGE (subtype = float8)',
  `CREATE TABLE types (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s smallint, n numeric, r real, d double precision, m money, t text,
     v varchar(10) CHECK (v IN ('x', 'y')), c char(5), b bytea, ts timestamp, tz timestamptz, da date, ti time, tt timetz,
     iv interval, bo boolean, e mood, p pair, sh short, sp span, po point, bx box, ci circle, pa path, ip inet, cd cidr,
     mac macaddr, bi bit(3), vb varbit, tv tsvector, tq tsquery, u uuid, x xml, j json, jb jsonb, ia int[], ta text[][],
     rc regclass, l pg_lsn, ct citext, h hstore, i4 int4range, mr nummultirange, o oid, q "char", na name,
     g int GENERATED ALWAYS AS (s * 2) STORED, "Odd ""column"" name" int DEFAULT 7)`,
  `INSERT INTO types (s, n, r, d, m, t, v, c, b, ts, tz, da, ti, tt, iv, bo, e, p, sh, sp, po, bx, ci, pa, ip, cd, mac, bi, vb,
     tv, tq, u, x, j, jb, ia, ta, rc, l, ct, h, i4, mr, o, q, na) VALUES
     (1, 1.10, 0.1, 1e300, '1234.5', E'a\\tb\\n''"\\\\', 'x', 'ab', '\\x00ff0a', '2024-02-29 12:00:00.123456', '2024-02-29 12:00+05',
      'infinity', '24:00', '12:00+03', '1 mon -2 days 03:04:05.6', true, 'happy', '(1,"a,b")', 'short', '[1,2)', '(1,2)',
      '((0,0),(1,1))', '<(0,0),1>', '((0,0),(1,1))', '::1', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '1', 'a fat cat', 'fat & cat',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '<a>1</a>', '{"b": 1, "a":  2}', '{"b": 1, "a": 2}', '{1,NULL,3}', '{{a,b},{c,d}}',
      'types', '0/16B3748', 'CiText', 'k=>v', '[1,5)', '{[1,2),(3,4]}', 42, 'z', 'name'),
     (NULL, 'NaN', '-Infinity', '-0', NULL, '', NULL, '', '', 'infinity', '-infinity', '4713-01-01 BC', NULL, NULL, '-1 year', false,
      NULL, '(,)', NULL, 'empty', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null', 'null', '{}',
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
  'CREATE TABLE dropped (a int, gone text, b text, c int); INSERT INTO dropped SELECT g, g, g, g FROM generate_series(1, 9) g',
  'ALTER TABLE dropped DROP COLUMN gone; ALTER TABLE dropped DROP COLUMN a; INSERT INTO dropped VALUES (NULL, 5)',
  // A column that came to the parent later stands elsewhere in the child than after a restore.
  'CREATE TABLE parent (a int); CREATE TABLE child (z text) INHERITS (parent); ALTER TABLE parent ADD COLUMN later int',
  "INSERT INTO parent VALUES (1, 2); INSERT INTO child (a, z, later) VALUES (3, 'z', 4)",
  'CREATE TABLE days (day date NOT NULL, what text, PRIMARY KEY (day)) PARTITION BY RANGE (day)',
  "CREATE TABLE days_old PARTITION OF days FOR VALUES FROM (MINVALUE) TO ('2024-01-01'); CREATE TABLE days_rest PARTITION OF days DEFAULT",
  "INSERT INTO days SELECT date '2023-12-20' + g, 'day ' || g FROM generate_series(1, 30) g",
  'CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; CREATE TABLE empty (a int)',
  'CREATE UNLOGGED TABLE unlogged (a int); INSERT INTO unlogged VALUES (1)',
  'CREATE TABLE twins (a int); INSERT INTO twins VALUES (1), (1), (2)',
  `CREATE SCHEMA "we.ird ""schema"""; CREATE TABLE "we.ird ""schema"""."a.b/c 'd'" ("ü" text);
   INSERT INTO "we.ird ""schema"""."a.b/c 'd'" VALUES ('ß')`,
  'CREATE SEQUENCE "Odd seq"; SELECT nextval(\'"Odd seq"\'); CREATE SEQUENCE untouched START 7 MINVALUE -5',
  "CREATE VIEW happy AS SELECT id, t FROM types WHERE e = 'happy'; CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM twins",
  'CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA',
  'INSERT INTO twins VALUES (3)', // The materialized view is stale now: a restore computes it anew.
  "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.b := coalesce(NEW.b, 'x'); RETURN NEW; END $$",
  'CREATE TRIGGER stamp BEFORE INSERT ON dropped FOR EACH ROW EXECUTE FUNCTION stamp()',
  'CREATE INDEX dropped_c ON dropped (c DESC, lower(b)) WHERE c > 1; CREATE INDEX days_what ON days (what)',
  'ALTER TABLE twins ADD COLUMN ref bigint REFERENCES types (id); ALTER TABLE types ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY everybody ON types FOR SELECT USING (true); CREATE STATISTICS st ON a, ref FROM twins',
  "SELECT lo_create(4711), lo_put(4711, 0, 'a large object'), lo_create(4712), lo_put(4712, 5000000, 'far behind a hole')",
];
