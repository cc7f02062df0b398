// Finds tables of a server of the past by the words of a user, and moves them, in that throw-away server, into a schema of their own,
// freed from all that would tie them to what is not in it: so that a dump of the schema is a dump of them.
import pg from 'pg';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { Connection } from '../connection.ts';
import { foreignSchema, qualifiedName } from '../tables.ts';

export interface PastTable {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** Has rows of its own, unlike the head of a partitioned table. */
  readonly hasRows: boolean;
  readonly columns: readonly string[];
  readonly condition: '';
}

const quote = pg.escapeIdentifier;

/** An exact name wins over what PostgreSQL would make of it. */
const candidatesQuery = `
  SELECT c.oid::text AS oid, n.nspname::text AS schema, c.relname::text AS name, pg_catalog.pg_table_is_visible(c.oid) AS "isVisible",
         c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') AS "isTable"
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT ${foreignSchema}`;

interface Candidate {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly isVisible: boolean;
  readonly isTable: boolean;
}

/** With all that hang below them: partitions, and tables that inherit. */
export async function findTables(connection: Connection, words: readonly string[]): Promise<PastTable[]> {
  const candidates = await connection.query<Candidate>(candidatesQuery);
  const oids: string[] = [];
  for (const word of new Set(words)) oids.push((await findTable(connection, word, candidates)).oid);
  return connection.query<PastTable>(
    `WITH RECURSIVE wanted AS (
       SELECT unnest($1::oid[]) AS oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN wanted w ON w.oid = i.inhparent)
     SELECT c.oid::text AS oid, n.nspname::text AS schema, c.relname::text AS name, '' AS condition,
            pg_catalog.pg_total_relation_size(c.oid)::float8 AS "sizeBytes", c.relkind = 'r' AS "hasRows",
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
                   ORDER BY a.attname::text COLLATE "C") AS columns
       FROM wanted w JOIN pg_catalog.pg_class c ON c.oid = w.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') ORDER BY 2, 3`,
    [oids],
  );
}

async function findTable(connection: Connection, word: string, candidates: readonly Candidate[]): Promise<Candidate> {
  const exact = candidates.filter(({ schema, name }) => word === name || word === `${schema}.${name}`);
  const found = exact.length > 0 ? exact : await parsed(connection, word, candidates);
  const visible = found.filter(({ isVisible }) => isVisible);
  const [first, ...others] = visible.length > 0 ? visible : found;
  if (first === undefined) throw notThere(connection, word, candidates);
  if (others.length > 0) {
    const names = [first, ...others].map(({ schema, name }) => `${schema}.${name}`).join(', ');
    throw new AppError('AMBIGUOUS', `'${word}' may be ${names}`, { hint: 'Name it with its schema.' });
  }
  if (first.isTable) return first;
  throw new AppError(
    'USAGE',
    `${first.schema}.${first.name} is no table of its own: a view, or what an extension made`,
    {
      hint: 'Name the tables that it is made of.',
    },
  );
}

/** As SQL would read it: `Orders`, `"Order Lines"`, `shop."A.B"`. */
async function parsed(
  connection: Connection,
  word: string,
  candidates: readonly Candidate[],
): Promise<readonly Candidate[]> {
  try {
    const [row] = await connection.query<{ oid: string | null }>('SELECT to_regclass($1)::oid::text AS oid', [word]);
    return candidates.filter(({ oid }) => oid === row?.oid);
  } catch (error) {
    if (isAppError(error)) return []; // No name at all.
    throw error;
  }
}

const namedMax = 10;

function notThere({ database }: Connection, word: string, candidates: readonly Candidate[]): AppError {
  const names = candidates.filter(({ isTable }) => isTable).map(({ schema, name }) => `${schema}.${name}`);
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : '';
  const there = names.length === 0 ? 'it had no tables' : `it had ${names.slice(0, namedMax).join(', ')}${more}`;
  return new AppError('NOT_FOUND', `database ${database} had no table '${word}' at that instant: ${there}`, {
    hint: 'Name one of those, another --database, or another instant.',
  });
}

/** What two tables of one name would be in one schema. */
export function requireDistinct(tables: readonly Pick<PastTable, 'name'>[]): void {
  const [twice] = tables.filter((one, at) => tables.findIndex(({ name }) => name === one.name) < at);
  if (twice === undefined) return;
  throw new AppError('USAGE', `more than one of the tables is called ${twice.name}, and they go into one schema`, {
    hint: 'Take them one after the other, each with another --as.',
  });
}

/** Only in a throw-away server. */
export async function isolateTables(
  connection: Connection,
  schema: string,
  tables: readonly PastTable[],
): Promise<void> {
  const oids = tables.map(({ oid }) => oid);
  await connection.query('BEGIN');
  // They would run what the original runs when something is changed.
  await connection.query('SET LOCAL session_replication_role = replica');
  for (const { name } of await connection.query<{ name: string }>('SELECT evtname::text AS name FROM pg_event_trigger'))
    await connection.query(`ALTER EVENT TRIGGER ${quote(name)} DISABLE`);
  const statements = await connection.query<{ readonly statement: string }>(ties, [oids]);
  for (const { statement } of statements) await connection.query(statement);
  await connection.query(`CREATE SCHEMA ${quote(schema)}`);
  for (const table of tables) await connection.query(`ALTER TABLE ${qualifiedName(table)} SET SCHEMA ${quote(schema)}`);
  await connection.query('COMMIT');
}

/** Keys to tables that do not come along, parents that do not, and what would act on the rows or hide them. */
const ties = `
  WITH t AS (SELECT c.oid, c.oid::regclass::text AS name, c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]))
  SELECT format('ALTER TABLE %s DETACH PARTITION %s', i.inhparent::regclass, t.name) AS statement
    FROM t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
   WHERE p.oid <> ALL ($1::oid[]) AND p.relkind = 'p'
  UNION ALL
  SELECT format('ALTER TABLE %s NO INHERIT %s', t.name, i.inhparent::regclass)
    FROM t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
   WHERE p.oid <> ALL ($1::oid[]) AND p.relkind <> 'p'
  UNION ALL
  SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, k.conname)
    FROM t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid
   WHERE k.contype = 'f' AND k.confrelid <> ALL ($1::oid[]) AND k.conparentid = 0
  UNION ALL
  SELECT format('DROP TRIGGER %I ON %s', g.tgname, t.name)
    FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal AND g.tgparentid = 0
  UNION ALL
  SELECT format('DROP RULE %I ON %s', r.rulename, t.name) FROM t JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid
  UNION ALL
  SELECT format('DROP POLICY %I ON %s', p.polname, t.name) FROM t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
  UNION ALL
  SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relrowsecurity`;
