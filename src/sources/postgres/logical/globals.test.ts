import { expect, test } from 'vitest';
import { readGlobals, splitStatements } from './globals.ts';

/** As pg_dumpall writes it, with everything that makes splitting hard. */
const text = String.raw`--
-- PostgreSQL database cluster dump; with a semicolon and a 'quote
--

\restrict 9k;2j'

SET default_transaction_read_only = off;

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c==$d:e';
CREATE ROLE "Odd ""; role";
ALTER ROLE "Odd ""; role" WITH NOLOGIN;
COMMENT ON ROLE app IS 'line
-- two; ''quoted''';
COMMENT ON ROLE "Odd ""; role" IS E'back\\slash\'; DROP ROLE app';
CREATE ROLE other;
ALTER ROLE other SET work_mem TO '3MB';

GRANT app TO "Odd ""; role" WITH INHERIT TRUE GRANTED BY postgres;
GRANT app TO other GRANTED BY postgres;
CREATE TABLESPACE fast OWNER app LOCATION '/fast';
\unrestrict 9k2j
`;

test('statements are split at their own semicolons only', () => {
  const statements = splitStatements(text);
  expect(statements).toHaveLength(12);
  expect(statements[2]).toBe(
    String.raw`ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c==$d:e'`,
  );
  expect(statements[6]).toContain('DROP ROLE app');
});

test('a missing role brings its own statements and its memberships, and no other role', () => {
  const globals = readGlobals(text);
  expect(globals.roles).toEqual(['app', 'Odd "; role', 'other']);
  const statements = globals.statementsFor(new Set(['other']));
  expect(statements).toEqual([
    'CREATE ROLE other',
    "ALTER ROLE other SET work_mem TO '3MB'",
    'GRANT app TO other GRANTED BY postgres',
  ]);
});

test('a role that exists keeps its password: no statement is about it', () => {
  const statements = readGlobals(text).statementsFor(new Set(['Odd "; role']));
  expect(statements.filter((statement) => statement.includes('SCRAM'))).toEqual([]);
  expect(statements).toHaveLength(4);
  expect(readGlobals(text).statementsFor(new Set())).toEqual([]);
});
