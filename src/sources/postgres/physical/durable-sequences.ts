// What of a sequence survives a crash. A server writes a sequence to the WAL some values ahead and counts down in memory, so a
// copy goes on further than the original stood; the end of what was written ahead is the same in both.
import pg from 'pg';
import type { Connection } from '../connection.ts';
import type { SequenceValue } from '../logical/dump-toc.ts';

export interface SequenceName {
  readonly schema: string;
  readonly name: string;
}

/** Of the user's own; those of unlogged tables begin anew after a crash. */
const namesQuery = `
  SELECT n.nspname::text AS schema, c.relname::text AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'S' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   ORDER BY 1, 2`;

export function listSequences(connection: Connection): Promise<SequenceName[]> {
  return connection.query<SequenceName>(namesQuery);
}

const perStatement = 500;

/** In few statements, because writers wait meanwhile. */
export async function durableValues(
  connection: Connection,
  sequences: readonly SequenceName[],
): Promise<SequenceValue[]> {
  const values: SequenceValue[] = [];
  for (let at = 0; at < sequences.length; at += perStatement) {
    const parts = sequences.slice(at, at + perStatement).map(valueQuery);
    values.push(...(await connection.query<SequenceValue>(parts.join(' UNION ALL '))));
  }
  return values;
}

function valueQuery({ schema, name }: SequenceName): string {
  const path = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  return `SELECT ${pg.escapeLiteral(schema)} AS schema, ${pg.escapeLiteral(name)} AS name,
    (s.last_value::numeric + s.log_cnt * p.seqincrement)::text AS "lastValue", s.is_called AS "isCalled"
    FROM ${path} s, pg_catalog.pg_sequence p WHERE p.seqrelid = ${pg.escapeLiteral(path)}::regclass`;
}
