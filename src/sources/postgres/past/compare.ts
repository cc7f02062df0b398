// Compares two servers of the past: all tables by their fingerprints, those that differ row by row. Rows come from both sides in the order
// of a hash of their key and are merged, so that tables of any size pass through a bounded memory.
import { AppError } from '../../../base/errors.ts';
import type { CompareRequest, PastDifference, PastServer, TableDifference } from '../../explore.ts';
import { type Connection, connect } from '../connection.ts';
import { pinnedSettings, tableItem } from '../fingerprint.ts';
import { itemName } from '../item-name.ts';
import { schemaItems } from '../logical/schema-items.ts';
import type { PostgresOptions } from '../options.ts';
import { listTables, type Table } from '../tables.ts';
import { compareRows, type Sides } from './compare-rows.ts';
import { pastDatabase } from './past-database.ts';
import { findTables } from './past-tables.ts';

export interface Comparing {
  readonly first: PastServer;
  readonly second: PastServer;
  readonly request: CompareRequest;
}

export async function comparePast(
  options: PostgresOptions,
  { first, second, request }: Comparing,
  signal: AbortSignal,
): Promise<PastDifference> {
  const database = pastDatabase({ databases: unionOf(first.databases, second.databases) }, request.database, options);
  await using left = await enter(first, database, signal);
  await using right = await enter(second, database, signal);
  const shown = await shownTables([left, right], request.tables);
  for (const one of [left, right])
    await one.query(`${pinnedSettings}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`);
  const pairs = pairsOf(await durableTables(left), await durableTables(right));
  const tables: TableDifference[] = [];
  for (const pair of pairs) {
    const isShown = shown.has(nameOf(pair.left ?? pair.right));
    tables.push(await compareTable({ left, right }, pair, isShown ? request.rowsMax : 0));
    signal.throwIfAborted();
  }
  return { database, tables, structure: await structureOf(left, right) };
}

const unionOf = (one: readonly string[], other: readonly string[]): string[] => [...new Set([...one, ...other])];

async function enter({ access, databases }: PastServer, database: string, signal: AbortSignal): Promise<Connection> {
  if (databases.includes(database)) return connect({ ...access, ssl: { mode: 'disable' } }, database, signal);
  throw new AppError('NOT_FOUND', `database ${database} is not there at one of the two instants`, {
    hint: `Name one that is, with --database: ${databases.join(', ')}.`,
  });
}

/** A table may be there on one side only, but not on none. */
async function shownTables(sides: readonly Connection[], words: readonly string[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const word of words) {
    const failures: unknown[] = [];
    for (const side of sides) {
      try {
        for (const table of await findTables(side, [word])) names.add(nameOf(table));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === sides.length) throw failures[0];
  }
  return names;
}

type TableName = Pick<Table, 'schema' | 'name'>;

const nameOf = (table: TableName | undefined): string =>
  table === undefined ? '' : itemName(table.schema, table.name);

async function durableTables(connection: Connection): Promise<Table[]> {
  return (await listTables(connection)).filter(({ isDurable }) => isDurable);
}

interface Pair {
  readonly left: Table | undefined;
  readonly right: Table | undefined;
}

function pairsOf(left: readonly Table[], right: readonly Table[]): Pair[] {
  const others = new Map(right.map((table) => [nameOf(table), table]));
  const own = new Set(left.map(nameOf));
  return [
    ...left.map((table) => ({ left: table, right: others.get(nameOf(table)) })),
    ...right.filter((table) => !own.has(nameOf(table))).map((table) => ({ left: undefined, right: table })),
  ].toSorted((one, other) => (nameOf(one.left ?? one.right) < nameOf(other.left ?? other.right) ? -1 : 1));
}

async function compareTable({ left, right }: Sides, pair: Pair, rowsMax: number): Promise<TableDifference> {
  const table = nameOf(pair.left ?? pair.right);
  const nothing = {
    onlyInFirst: 0,
    onlyInSecond: 0,
    changed: 0,
    key: [],
    rows: [],
    columnsOnlyInFirst: [],
    columnsOnlyInSecond: [],
  };
  if (pair.left === undefined || pair.right === undefined) {
    const [only, connection] = pair.left === undefined ? [pair.right, right] : [pair.left, left];
    const rows = only === undefined ? 0 : (await tableItem({ connection, name: '' }, { ...only, columns: [] })).rows;
    return pair.left === undefined
      ? { ...nothing, table, state: 'only in second', rowsFirst: 0, rowsSecond: rows, onlyInSecond: rows }
      : { ...nothing, table, state: 'only in first', rowsFirst: rows, rowsSecond: 0, onlyInFirst: rows };
  }
  const columns = pair.left.columns.filter((name) => pair.right?.columns.includes(name));
  const compared = { ...pair.left, columns };
  const own = await tableItem({ connection: left, name: '' }, compared);
  const other = await tableItem({ connection: right, name: '' }, compared);
  const isEqual = own.rows === other.rows && own.sum === other.sum;
  const counts = isEqual ? {} : await compareRows({ left, right }, { table: compared, rowsMax });
  const columnsOnlyInFirst = pair.left.columns.filter((name) => !columns.includes(name));
  const columnsOnlyInSecond = pair.right.columns.filter((name) => !columns.includes(name));
  const isSame = isEqual && columnsOnlyInFirst.length + columnsOnlyInSecond.length === 0;
  return {
    ...nothing,
    ...counts,
    table,
    state: isSame ? 'equal' : 'differs',
    rowsFirst: own.rows,
    rowsSecond: other.rows,
    columnsOnlyInFirst,
    columnsOnlyInSecond,
  };
}

async function structureOf(left: Connection, right: Connection): Promise<string[]> {
  const own = new Map((await schemaItems(left, '')).map(({ name, rows, sum }) => [name, `${rows} ${sum}`]));
  const other = new Map((await schemaItems(right, '')).map(({ name, rows, sum }) => [name, `${rows} ${sum}`]));
  const names = unionOf([...own.keys()], [...other.keys()]).filter((name) => own.get(name) !== other.get(name));
  return names.map((name) => /\(schema: (.*)\)$/.exec(name)?.[1] ?? name).toSorted();
}
