// The fingerprint of a physical copy: rows of all tables that survive a crash, durable values of sequences, large objects, structure.
import type { Fingerprint, FingerprintItem } from '../../../model/fingerprint.ts';
import type { Connection } from '../connection.ts';
import { fingerprintDatabase, fingerprintOf } from '../fingerprint.ts';
import { itemName } from '../item-name.ts';
import { listTables, type Table } from '../tables.ts';
import { durableValues, listSequences, type SequenceName } from './durable-sequences.ts';
import { schemaItems } from '../logical/schema-items.ts';

const physicalMethod = 'postgres physical rows 1';

/** What a database is made of, without its rows. */
export interface Structure {
  readonly tables: readonly Table[];
  readonly sequences: readonly SequenceName[];
  readonly schema: readonly FingerprintItem[];
}

/** The connection must have the pinned settings. */
export async function readStructure(connection: Connection, database: string): Promise<Structure> {
  const tables = (await listTables(connection)).filter(({ isDurable }) => isDurable);
  const sequences = await listSequences(connection);
  return { tables, sequences, schema: await schemaItems(connection, database) };
}

export function isSameStructure(left: Structure, right: Structure): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Without the items of `leftOut`, of which nothing certain is known. */
export async function physicalItems(
  connection: Connection,
  { database, structure }: { readonly database: string; readonly structure: Structure },
  leftOut: ReadonlySet<string>,
): Promise<FingerprintItem[]> {
  const { tables, schema } = structure;
  const sequences = await durableValues(connection, structure.sequences);
  const items = await fingerprintDatabase({ name: database, connection, tables, sequences, schema });
  return items.filter(({ name }) => !leftOut.has(name));
}

export function physicalFingerprint(items: readonly FingerprintItem[]): Fingerprint {
  return fingerprintOf(items, physicalMethod);
}

export function sequenceItemName(database: string, { schema, name }: SequenceName): string {
  return `${itemName(database, schema, name)} (sequence)`;
}

export function largeObjectsItemName(database: string): string {
  return `${itemName(database)} (large objects)`;
}
