// What a server under load should hold: transactions whose changes are derived from what was sent, and a model that carries the same
// changes out in the order in which they were committed. A copy of the server at any instant must equal the model there, row for row.
import { createHash } from 'node:crypto';
import type { Random } from '../../src/base/random.ts';

/** A table of few rows that change all the time, and one of large values. */
export type LedgerTable = 'shelf' | 'papers';

/** `append` makes the outcome depend on the order; `undone` happens within a savepoint that is rolled back. */
export interface LedgerChange {
  readonly table: LedgerTable;
  readonly key: number;
  readonly act: 'put' | 'append' | 'remove' | 'undone';
  readonly value: string;
}

export type LedgerRows = Readonly<Record<LedgerTable, ReadonlyMap<number, string>>>;

const shelfKeys = 400;
const papersKeys = 60;
/** What does not fit a page goes to a TOAST table. */
const paperBytesMax = 30_000;

/**
 * The keys are locked in order before anything is changed: whoever comes later sees what was committed before, so that the order of
 * commits alone decides the outcome, and nobody waits for each other.
 */
export const ledgerSchema: readonly string[] = [
  'CREATE TABLE ledger (id bigint PRIMARY KEY, xid text NOT NULL)',
  'CREATE INDEX ledger_by_xid ON ledger (xid)',
  'CREATE TABLE shelf (key int PRIMARY KEY, value text NOT NULL)',
  'CREATE INDEX shelf_by_value ON shelf (value)',
  'CREATE TABLE papers (key int PRIMARY KEY, value text NOT NULL)',
  'CREATE INDEX papers_by_hash ON papers (md5(value))',
  `CREATE FUNCTION change(c jsonb) RETURNS void LANGUAGE plpgsql AS $$
   BEGIN
     CASE c->>'act'
     WHEN 'put' THEN
       EXECUTE format('INSERT INTO %I VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value', c->>'table')
         USING (c->>'key')::int, c->>'value';
     WHEN 'append' THEN
       EXECUTE format('UPDATE %I SET value = md5(value) || $2 WHERE key = $1', c->>'table')
         USING (c->>'key')::int, c->>'value';
     WHEN 'remove' THEN
       EXECUTE format('DELETE FROM %I WHERE key = $1', c->>'table') USING (c->>'key')::int;
     WHEN 'undone' THEN
       BEGIN
         EXECUTE format('DELETE FROM %I WHERE key = $1', c->>'table') USING (c->>'key')::int;
         PERFORM 1 / 0;
       EXCEPTION WHEN division_by_zero THEN NULL;
       END;
     END CASE;
   END $$`,
  `CREATE FUNCTION record(id bigint, changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
   DECLARE c jsonb;
   BEGIN
     FOR c IN SELECT * FROM jsonb_array_elements(changes) LOOP
       PERFORM pg_advisory_xact_lock(hashtext(c->>'table'), (c->>'key')::int);
     END LOOP;
     FOR c IN SELECT * FROM jsonb_array_elements(changes) LOOP
       PERFORM change(c);
     END LOOP;
     INSERT INTO ledger VALUES (record.id, pg_current_xact_id()::text);
   END $$`,
];

export function randomChanges(random: Random): LedgerChange[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const chosen = new Map<string, LedgerChange>();
  for (let left = 1 + whole(4); left > 0; left -= 1) {
    const table = random() < 0.85 ? 'shelf' : 'papers';
    const key = whole(table === 'shelf' ? shelfKeys : papersKeys);
    const kind = random();
    const act = kind < 0.55 ? 'put' : kind < 0.8 ? 'append' : kind < 0.92 ? 'remove' : 'undone';
    const value = table === 'papers' && act === 'put' ? paper(random) : hexadecimal(random, 1 + whole(40));
    chosen.set(`${table} ${key}`, { table, key, act, value });
  }
  return [...chosen.values()].toSorted((left, right) => left.table.localeCompare(right.table) || left.key - right.key);
}

/** Without a pattern that a server could compress. */
function paper(random: Random): string {
  return hexadecimal(random, Math.floor(random() ** 3 * paperBytesMax));
}

function hexadecimal(random: Random, length: number): string {
  let text = '';
  while (text.length < length) text += Math.floor(random() * 2 ** 32).toString(16);
  return text.slice(0, length);
}

/** All changes in the order of their commits. */
export function rowsAfter(transactions: Iterable<readonly LedgerChange[]>): LedgerRows {
  const rows = { shelf: new Map<number, string>(), papers: new Map<number, string>() };
  for (const changes of transactions) for (const change of changes) apply(change, rows[change.table]);
  return rows;
}

function apply({ key, act, value }: LedgerChange, rows: Map<number, string>): void {
  const before = rows.get(key);
  switch (act) {
    case 'put':
      rows.set(key, value);
      break;
    case 'append':
      if (before !== undefined) rows.set(key, md5(before) + value);
      break;
    case 'remove':
      rows.delete(key);
      break;
    case 'undone':
      break;
    default:
      act satisfies never;
  }
}

export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
