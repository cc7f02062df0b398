// What a database is made of beside its rows, so that a lost index or trigger shows. Structure only, never the text of
// expressions: PostgreSQL rewrites `CHECK (a IN ('x', 'y'))` each time it passes through a dump, and nothing is lost.
import type { FingerprintItem } from '../../../model/fingerprint.ts';
import type { Connection } from '../connection.ts';
import { itemName } from '../item-name.ts';
import { foreignSchema } from '../tables.ts';
import { hashSum, textHash } from '../text-hash.ts';

/** SQL that is true for objects that came with an extension: they come back with it, in the version installed there. */
function isOfExtension(catalog: string, oid: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.${catalog}'::regclass AND x.objid = ${oid} AND x.deptype = 'e')`;
}

function columnNames(relation: string, numbers: string): string {
  return `(SELECT string_agg(coalesce(quote_ident(y.attname), '(expression)'), ',' ORDER BY z.place)
     FROM unnest(${numbers}) WITH ORDINALITY AS z(number, place)
     LEFT JOIN pg_catalog.pg_attribute y ON y.attrelid = ${relation} AND y.attnum = z.number AND z.number <> 0)`;
}

const relationNames = `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
const ownRelation = `NOT ${foreignSchema} AND c.relpersistence <> 't' AND NOT ${isOfExtension('pg_class', 'c.oid')}`;
const relation = `format('%I.%I', n.nspname, c.relname)`;

/** Kind → query of one column `line`, one row per object. */
const kinds: Readonly<Record<string, string>> = {
  relations: `
    SELECT concat_ws(' ', ${relation}, c.relkind, c.relpersistence, c.relispopulated, c.relrowsecurity, c.relforcerowsecurity,
             pg_catalog.pg_get_expr(c.relpartbound, c.oid),
             (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
                FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)) AS line
      FROM ${relationNames} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ${ownRelation}`,
  columns: `
    SELECT concat_ws(' ', ${relation}, quote_ident(a.attname), pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
             a.atthasdef, 'identity' || a.attidentity::text, 'generated' || a.attgenerated::text,
             a.attcollation::regcollation) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ${ownRelation}`,
  indexes: `
    SELECT concat_ws(' ', ${relation}, quote_ident(o.relname), m.amname, i.indisunique, i.indisprimary, i.indnkeyatts,
             ${columnNames('i.indrelid', 'i.indkey')}, i.indoption, i.indpred IS NULL,
             (SELECT string_agg(quote_ident(k.opcname), ',' ORDER BY u.place)
                FROM unnest(i.indclass) WITH ORDINALITY AS u(oid, place) JOIN pg_catalog.pg_opclass k ON k.oid = u.oid)) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
      JOIN pg_catalog.pg_class o ON o.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = o.relam
     WHERE (i.indisvalid OR c.relkind = 'p') AND ${ownRelation}`,
  constraints: `
    SELECT concat_ws(' ', ${relation}, quote_ident(k.conname), k.contype, ${columnNames('k.conrelid', 'k.conkey')},
             k.confrelid::regclass, ${columnNames('k.confrelid', 'k.confkey')}, k.confupdtype, k.confdeltype,
             k.condeferrable, k.condeferred, k.convalidated) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid
     WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 AND ${ownRelation}`,
  triggers: `
    SELECT concat_ws(' ', ${relation}, quote_ident(t.tgname), t.tgtype, t.tgenabled, t.tgfoid::regproc, t.tgdeferrable) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
     WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND ${ownRelation}`,
  policies: `
    SELECT concat_ws(' ', ${relation}, quote_ident(p.polname), p.polcmd, p.polpermissive) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid WHERE ${ownRelation}`,
  rules: `
    SELECT concat_ws(' ', ${relation}, quote_ident(r.rulename), r.ev_type, r.ev_enabled, r.is_instead) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid WHERE ${ownRelation}`,
  sequences: `
    SELECT concat_ws(' ', ${relation}, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle) AS line
      FROM ${relationNames} JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid WHERE ${ownRelation}`,
  types: `
    SELECT concat_ws(' ', format('%I.%I', n.nspname, t.typname), t.typtype, t.typnotnull,
             CASE WHEN t.typbasetype <> 0 THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
             (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
             (SELECT string_agg(quote_ident(k.conname), ',' ORDER BY k.conname::text COLLATE "C")
                FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')) AS line
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype IN ('e', 'd', 'r') AND NOT ${foreignSchema} AND NOT ${isOfExtension('pg_type', 't.oid')}`,
  functions: `
    SELECT concat_ws(' ', format('%I.%I', n.nspname, p.proname), pg_catalog.pg_get_function_identity_arguments(p.oid),
             pg_catalog.pg_get_function_result(p.oid), l.lanname, p.prokind, p.provolatile, p.prosecdef, p.proisstrict,
             p.proparallel, p.prosrc) AS line
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE NOT ${foreignSchema} AND NOT ${isOfExtension('pg_proc', 'p.oid')}`,
  extensions: `SELECT e.extname::text AS line FROM pg_catalog.pg_extension e`,
  settings: `
    SELECT unnest(s.setconfig) AS line FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
     WHERE d.datname = pg_catalog.current_database() AND s.setrole = 0`,
};

/** One item per kind that has any. The connection must have the pinned settings. */
export async function schemaItems(connection: Connection, database: string): Promise<FingerprintItem[]> {
  const query = Object.entries(kinds).map(
    ([kind, lines]) =>
      `SELECT '${kind}' AS kind, count(*)::text AS rows,
              ${hashSum(textHash('line'))} AS sum FROM (${lines}) AS l HAVING count(*) > 0`,
  );
  const found = await connection.query<{ readonly kind: string; readonly rows: string; readonly sum: string }>(
    query.join(' UNION ALL '),
  );
  return found.map(({ kind, rows, sum }) => ({
    name: `${itemName(database)}${suffix} ${kind})`,
    rows: Number(rows),
    sum,
  }));
}

const suffix = ' (schema:';

/** Whether an item tells of structure: majors write it differently, so only equal majors can be compared by it. */
export function isSchemaItem({ name }: FingerprintItem): boolean {
  return / \(schema: [a-z]+\)$/.test(name);
}
