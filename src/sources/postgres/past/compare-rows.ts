// Rows of one table on two servers, merged by the hash of their key. The hash is hexadecimal, so its order is the same in every
// collation and encoding; rows without a key are told apart by all that is in them.
import pg from 'pg';
import type { RowDifference, TableDifference } from '../../explore.ts';
import type { Connection } from '../connection.ts';
import { qualifiedName, type Table } from '../tables.ts';
import { textHash } from '../text-hash.ts';

export interface Sides {
  readonly left: Connection;
  readonly right: Connection;
}

export type RowCounts = Pick<TableDifference, 'onlyInFirst' | 'onlyInSecond' | 'changed' | 'key' | 'rows'>;

/** Both connections are in a transaction. */
export async function compareRows(
  { left, right }: Sides,
  { table, rowsMax }: { readonly table: Table; readonly rowsMax: number },
): Promise<RowCounts> {
  const key = await commonKey({ left, right }, table);
  const counts = { onlyInFirst: 0, onlyInSecond: 0, changed: 0 };
  const places: { readonly first?: string | undefined; readonly second?: string | undefined }[] = [];
  const note = (place: (typeof places)[number]): void => {
    if (places.length < rowsMax) places.push(place);
  };
  for await (const { first, second } of mergeRows(rowsOf(left, table, key), rowsOf(right, table, key))) {
    if (second === undefined) counts.onlyInFirst += 1;
    else if (first === undefined) counts.onlyInSecond += 1;
    else if (first.hash === second.hash) continue;
    else counts.changed += 1;
    note({ first: first?.place, second: second?.place });
  }
  const rows: RowDifference[] = [];
  for (const { first, second } of places) {
    rows.push({ first: await rowAt(left, table, first), second: await rowAt(right, table, second) });
  }
  return { ...counts, key, rows };
}

const keyQuery = `
  SELECT ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place) AS columns
    FROM pg_catalog.pg_constraint k WHERE k.contype = 'p' AND k.conrelid = $1::regclass`;

/** Columns of the primary key, if it is the same on both sides. */
async function commonKey({ left, right }: Sides, table: Table): Promise<readonly string[]> {
  const keys: string[][] = [];
  for (const one of [left, right]) {
    const [found] = await one.query<{ readonly columns: string[] }>(keyQuery, [qualifiedName(table)]);
    keys.push(found?.columns ?? []);
  }
  const [own = [], other = []] = keys;
  return own.join('\0') === other.join('\0') ? own : [];
}

export interface MergedRow {
  /** Hexadecimal; rows come in its order. */
  readonly key: string;
  readonly hash: string;
  readonly place: string;
}

const fetchedRows = 5_000;

async function* rowsOf(connection: Connection, table: Table, key: readonly string[]): AsyncGenerator<MergedRow> {
  const columns = (names: readonly string[]): string =>
    names.map((name) => `t.${pg.escapeIdentifier(name)}`).join(', ');
  const whole = `ROW(${columns(table.columns)})::text`;
  const keyed = key.length === 0 ? whole : `ROW(${columns(key)})::text`;
  await connection.query(
    `DECLARE lifeboat_rows NO SCROLL CURSOR FOR
       SELECT md5(${keyed}) COLLATE "C" AS key, ${textHash(whole)}::text AS hash, t.ctid::text AS place
         FROM ONLY ${qualifiedName(table)} AS t ${table.condition} ORDER BY 1`,
  );
  for (;;) {
    const rows = await connection.query<MergedRow>(`FETCH ${fetchedRows} FROM lifeboat_rows`);
    yield* rows;
    if (rows.length < fetchedRows) break;
  }
  await connection.query('CLOSE lifeboat_rows');
}

/** Pairs rows of one key; several rows of one key are paired one by one. */
export async function* mergeRows(
  left: AsyncIterable<MergedRow>,
  right: AsyncIterable<MergedRow>,
): AsyncGenerator<{ readonly first: MergedRow | undefined; readonly second: MergedRow | undefined }> {
  const own = left[Symbol.asyncIterator]();
  const other = right[Symbol.asyncIterator]();
  let [first, second] = [await next(own), await next(other)];
  while (first !== undefined || second !== undefined) {
    const takesFirst = first !== undefined && (second === undefined || first.key <= second.key);
    const takesSecond = second !== undefined && (first === undefined || second.key <= first.key);
    yield { first: takesFirst ? first : undefined, second: takesSecond ? second : undefined };
    if (takesFirst) first = await next(own);
    if (takesSecond) second = await next(other);
  }
}

async function next(rows: AsyncIterator<MergedRow>): Promise<MergedRow | undefined> {
  const result = await rows.next();
  return result.done === true ? undefined : result.value;
}

async function rowAt(
  connection: Connection,
  table: Table,
  place: string | undefined,
): Promise<Record<string, string | null> | undefined> {
  if (place === undefined) return undefined;
  const values = table.columns.map((name) => `t.${pg.escapeIdentifier(name)}::text`).join(', ');
  const query = `SELECT ARRAY[${values}]::text[] AS row FROM ONLY ${qualifiedName(table)} AS t WHERE ctid = $1::tid`;
  const [found] = await connection.query<{ readonly row: (string | null)[] }>(query, [place]);
  return Object.fromEntries(table.columns.map((name, at) => [name, found?.row[at] ?? null]));
}
