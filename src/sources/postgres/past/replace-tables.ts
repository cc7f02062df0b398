// Puts tables of the past in the place of those that have their names now, all in one transaction. Those that were there move into a
// schema of their own, with their indexes and sequences; what is theirs and can be made again (keys to other tables, triggers, owner,
// rights, statistics) is made again. What would go on to mean the old ones keeps the tables from being replaced.
import pg from 'pg';
import { AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { type Connection, connect, onlyRow } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';
import { qualifiedName } from '../tables.ts';
import type { PastTable } from './past-tables.ts';

const quote = pg.escapeIdentifier;

type TableName = Pick<PastTable, 'schema' | 'name'>;

const namedMax = 10;

/** What is there now decides whether it can make way. */
export async function replaceFindings(live: Connection, tables: readonly TableName[]): Promise<Finding[]> {
  const aspect = 'replace';
  await live.query("SET search_path = ''");
  const hint = 'Take them without --replace: they come into a schema of their own, from which you copy the rows.';
  const homeless = await live.query<{ readonly name: string }>(homelessQuery, [tables.map(({ schema }) => schema)]);
  if (homeless.length > 0) {
    const names = homeless.map(({ name }) => name).join(', ');
    const message = `there is no schema ${names}, or the role may not create in it`;
    return [{ aspect, outcome: 'failed', message, hint }];
  }
  const old = await oldTables(live, tables);
  const foreign = old.filter(({ isTable, isOurs }) => !isTable || !isOurs).map(({ text }) => text);
  if (foreign.length > 0) {
    const message = `${foreign.join(', ')} is no table, or does not belong to the role`;
    return [{ aspect, outcome: 'failed', message, hint: 'Name the owner of the tables, or a superuser, in --to.' }];
  }
  const dependents = await dependentsOf(live, old);
  if (dependents.length > 0) return [{ aspect, outcome: 'failed', message: dependentsText(dependents), hint }];
  const message =
    old.length === 0 ? 'none of them is there now' : `${old.map(({ text }) => text).join(', ')} can make way`;
  return [{ aspect, outcome: 'passed', message }];
}

function dependentsText(dependents: readonly string[]): string {
  const more = dependents.length > namedMax ? ` and ${dependents.length - namedMax} more` : '';
  return `these would still mean the old tables: ${dependents.slice(0, namedMax).join(', ')}${more}`;
}

export interface Replacing {
  readonly address: ServerAddress;
  readonly database: string;
  readonly tables: readonly TableName[];
  /** The schema that they are in now; it goes. */
  readonly copied: string;
  /** Is made for those that make way. */
  readonly kept: string;
}

/** All or nothing. */
export async function replaceTables(
  { address, database, tables, copied, kept }: Replacing,
  signal: AbortSignal,
): Promise<void> {
  await using live = await connect(address, database, signal);
  await live.query("SET search_path = ''; BEGIN; SET LOCAL lock_timeout = '30s'");
  const old = await oldTables(live, tables);
  if (old.length > 0) await live.query(`LOCK TABLE ${old.map(({ text }) => text).join(', ')} IN ACCESS EXCLUSIVE MODE`);
  const dependents = await dependentsOf(live, old);
  if (dependents.length > 0) {
    throw new AppError('TARGET_UNSAFE', dependentsText(dependents), { hint: 'They came meanwhile: begin again.' });
  }
  const oids = old.map(({ oid }) => oid);
  const statistics = await statements(live, statisticsQuery, [oids, quote(kept)]);
  const again = [
    ...(await statements(live, belongingsQuery, [oids])),
    ...(await statements(live, rightsQuery, [oids])),
  ];
  await live.query(`CREATE SCHEMA ${quote(kept)}`);
  for (const statement of statistics.filter((one) => one.startsWith('ALTER'))) await live.query(statement);
  for (const { text } of old) await live.query(`ALTER TABLE ${text} SET SCHEMA ${quote(kept)}`);
  for (const { schema, name } of tables) {
    const moved = qualifiedName({ schema: copied, name });
    await live.query(`ALTER TABLE ${moved} SET SCHEMA ${quote(schema)}`);
  }
  await live.query(`DROP SCHEMA ${quote(copied)}`);
  const fresh = (await oldTables(live, tables)).filter(({ text }) => old.some((one) => one.text === text));
  again.unshift(...(await statements(live, revocationsQuery, [fresh.map(({ oid }) => oid)])));
  for (const statement of again) await live.query(statement);
  for (const statement of statistics.filter((one) => one.startsWith('CREATE'))) await live.query(statement);
  await live.query('COMMIT');
}

/** Whether it was done although the answer was lost. */
export async function wasReplaced({ address, database, copied }: Replacing, signal: AbortSignal): Promise<boolean> {
  await using live = await connect(address, database, signal);
  const query = 'SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1) AS "isThere"';
  return !onlyRow(await live.query<{ isThere: boolean }>(query, [copied])).isThere;
}

async function statements(live: Connection, query: string, values: readonly unknown[]): Promise<string[]> {
  return (await live.query<{ readonly statement: string }>(query, values)).map(({ statement }) => statement);
}

interface OldTable {
  readonly oid: string;
  /** Qualified, as SQL wants it. */
  readonly text: string;
  readonly isTable: boolean;
  readonly isOurs: boolean;
}

async function oldTables(live: Connection, tables: readonly TableName[]): Promise<OldTable[]> {
  return live.query<OldTable>(
    `SELECT c.oid::text AS oid, c.oid::regclass::text AS text, c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AS "isTable",
            pg_catalog.pg_has_role(c.relowner, 'USAGE') AS "isOurs"
       FROM unnest($1::text[], $2::text[]) AS w(schema, name)
       JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
       JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name ORDER BY 2`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
}

const homelessQuery = `
  SELECT DISTINCT w.schema AS name FROM pg_catalog.unnest($1::text[]) AS w(schema)
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
   WHERE n.oid IS NULL OR NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE')`;

async function dependentsOf(live: Connection, old: readonly OldTable[]): Promise<string[]> {
  const rows = await live.query<{ readonly text: string }>(dependentsQuery, [old.map(({ oid }) => oid)]);
  return rows.map(({ text }) => text);
}

/** All that refers to the tables, their row types and their sequences, but for what is part of them or is made again. */
const dependentsQuery = `
  WITH old AS (SELECT c.oid, c.reltype, c.relrowsecurity OR c.relforcerowsecurity AS "isSecured"
                 FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])),
  sequences AS (
    SELECT d.objid AS oid FROM pg_catalog.pg_depend d JOIN old ON d.refobjid = old.oid JOIN pg_catalog.pg_class s ON s.oid = d.objid
     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND d.deptype IN ('a', 'i') AND s.relkind = 'S'),
  types AS (
    SELECT t.oid FROM pg_catalog.pg_type t JOIN old ON t.oid = old.reltype
    UNION SELECT t.typarray FROM pg_catalog.pg_type t JOIN old ON t.oid = old.reltype),
  parts AS (
    SELECT 'pg_catalog.pg_class'::regclass AS classid, oid FROM old
    UNION SELECT 'pg_catalog.pg_class'::regclass, oid FROM sequences
    UNION SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid FROM pg_catalog.pg_index i JOIN old ON i.indrelid = old.oid
    UNION SELECT 'pg_catalog.pg_type'::regclass, oid FROM types
    UNION SELECT 'pg_catalog.pg_constraint'::regclass, k.oid FROM pg_catalog.pg_constraint k JOIN old ON k.conrelid = old.oid
    UNION SELECT 'pg_catalog.pg_attrdef'::regclass, f.oid FROM pg_catalog.pg_attrdef f JOIN old ON f.adrelid = old.oid
    UNION SELECT 'pg_catalog.pg_trigger'::regclass, g.oid FROM pg_catalog.pg_trigger g JOIN old ON g.tgrelid = old.oid
    UNION SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid FROM pg_catalog.pg_statistic_ext s JOIN old ON s.stxrelid = old.oid)
  SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS text
    FROM parts p JOIN pg_catalog.pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.oid
   WHERE NOT EXISTS (SELECT FROM parts own WHERE own.classid = d.classid AND own.oid = d.objid)
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_class t WHERE d.classid = 'pg_catalog.pg_class'::regclass AND t.oid = d.objid AND t.relkind = 't')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = d.objid AND g.tgisinternal)
  UNION
  SELECT 'table ' || i.inhparent::regclass::text || ', which it is a part of' FROM pg_catalog.pg_inherits i JOIN old ON i.inhrelid = old.oid
   WHERE i.inhparent <> ALL ($1::oid[])
  UNION
  SELECT 'row level security on table ' || old.oid::regclass::text FROM old WHERE "isSecured"
   ORDER BY 1`;

/** Owner, keys to other tables, and triggers with their states: as texts that mean whatever has the names then. */
const belongingsQuery = `
  WITH old AS (SELECT c.oid, c.oid::regclass::text AS name, c.relowner FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])),
  triggers AS (SELECT g.*, old.name FROM pg_catalog.pg_trigger g JOIN old ON g.tgrelid = old.oid
                WHERE NOT g.tgisinternal AND g.tgparentid = 0)
  SELECT statement FROM (
    SELECT 1 AS step, format('ALTER TABLE %s OWNER TO %I', name, pg_catalog.pg_get_userbyid(relowner)) AS statement FROM old
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ADD CONSTRAINT %I %s', old.name, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
      FROM pg_catalog.pg_constraint k JOIN old ON k.conrelid = old.oid
     WHERE k.contype = 'f' AND k.confrelid <> ALL ($1::oid[]) AND k.conparentid = 0
    UNION ALL
    SELECT 3, pg_catalog.pg_get_triggerdef(oid) FROM triggers
    UNION ALL
    SELECT 4, format('ALTER TABLE %s %s TRIGGER %I', name,
                     CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname)
      FROM triggers WHERE tgenabled <> 'O') s
   ORDER BY step`;

/** The tables and their sequences. */
const acls = `
  SELECT c.oid, c.oid::regclass::text AS name, c.relowner, c.relacl, 'TABLE' AS kind FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])
    UNION ALL
    SELECT s.oid, s.oid::regclass::text, s.relowner, s.relacl, 'SEQUENCE'
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid
     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND d.refobjid = ANY ($1::oid[]) AND d.deptype IN ('a', 'i') AND s.relkind = 'S'`;

/** What default privileges gave to new ones is not what the old ones had. */
const revocationsQuery = `
  WITH new AS (${acls})
  SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s', kind, name,
                         CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END) AS statement
    FROM new, pg_catalog.aclexplode(relacl) a WHERE grantee <> relowner`;

/** Rights on tables, their columns and their sequences, for all but the owner. */
const rightsQuery = `
  WITH old AS (${acls}),
  rights AS (
    SELECT name, kind, relowner, a.*, NULL::name AS attname FROM old, pg_catalog.aclexplode(relacl) a
    UNION ALL
    SELECT name, kind, relowner, a.*, t.attname FROM old JOIN pg_catalog.pg_attribute t ON t.attrelid = old.oid, pg_catalog.aclexplode(t.attacl) a)
  SELECT format('GRANT %s%s ON %s %s TO %s%s', privilege_type, CASE WHEN attname IS NULL THEN '' ELSE format(' (%I)', attname) END,
                kind, name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
    FROM rights WHERE grantee <> relowner`;

/** Their names are taken until the old ones have moved. */
const statisticsQuery = `
  SELECT statement FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace,
         LATERAL (VALUES (format('ALTER STATISTICS %I.%I SET SCHEMA %s', n.nspname, s.stxname, $2::text)),
                         (pg_catalog.pg_get_statisticsobjdef(s.oid))) AS v(statement)
   WHERE s.stxrelid = ANY ($1::oid[])`;
