// Results of simple queries: descriptions of columns and rows of values in text form.
import { BodyReader } from './body-reader.ts';
import { protocolError } from './protocol-error.ts';

export interface Column {
  readonly name: string;
  /** OID of its type: 25 is text, 20 int8, 23 int4. */
  readonly typeOid: number;
}

/** Values are views of what the server sent, undefined for NULL. */
export type RawRow = readonly (Buffer | undefined)[];

export interface ResultSet {
  readonly columns: readonly Column[];
  readonly rows: readonly RawRow[];
  /** What the server says was done: `SELECT 3`, `IDENTIFY_SYSTEM`. */
  readonly tag: string;
}

export function decodeRowDescription(body: Buffer): Column[] {
  const reader = new BodyReader(body, 'row description');
  const columns: Column[] = [];
  for (let left = reader.int16(); left > 0; left -= 1) {
    const name = reader.text();
    reader.bytes(6); // Table and column it comes from.
    columns.push({ name, typeOid: reader.uint32() });
    reader.bytes(8); // Size, modifier and format of the type.
  }
  return columns;
}

export function decodeRow(body: Buffer, columns: readonly Column[]): RawRow {
  const reader = new BodyReader(body, 'row');
  const count = reader.int16();
  if (count !== columns.length) throw protocolError(`a row of ${count} values for ${columns.length} columns`);
  return columns.map(() => {
    const length = reader.int32();
    return length === -1 ? undefined : reader.bytes(length);
  });
}

/** A row by the names of its columns. */
export type Row = Readonly<Record<string, string | undefined>>;

export function textRows({ columns, rows }: ResultSet): Row[] {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]?.toString('utf8')])));
}
