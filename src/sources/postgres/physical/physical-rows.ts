// The fingerprint of a physical copy: rows of all tables that survive a crash, durable values of sequences, large objects, structure.
import type { Fingerprint, FingerprintItem } from '../../../model/fingerprint.ts';
import { type Connection, connect } from '../connection.ts';
import { fingerprintDatabase, fingerprintOf, pinnedSettings } from '../fingerprint.ts';
import type { SequenceValue } from '../logical/dump-toc.ts';
import { itemName } from '../item-name.ts';
import type { ServerAddress } from '../server-address.ts';
import { listTables, type Table } from '../tables.ts';
import { durableValues, listSequences, type SequenceName } from './durable-sequences.ts';
import { schemaItems } from '../logical/schema-items.ts';

const physicalMethod = 'postgres physical rows 1';

/** What a fingerprint tells of. */
export interface FingerprintExtent {
  readonly databases: string[];
  /** Names of items about which nothing certain is known at the position of the backup. */
  readonly leftOut: string[];
}

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

export interface DatabaseRows {
  readonly database: string;
  readonly structure: Structure;
  /** As they were at the position; no snapshot holds them. */
  readonly sequences: readonly SequenceValue[];
}

/** Without the items of `leftOut`. */
export async function physicalItems(
  connection: Connection,
  { database, structure, sequences }: DatabaseRows,
  leftOut: readonly string[],
): Promise<FingerprintItem[]> {
  const { tables, schema } = structure;
  const hasLargeObjects = !leftOut.includes(largeObjectsItemName(database));
  const rows = { name: database, connection, tables, sequences, schema, hasLargeObjects };
  const items = await fingerprintDatabase(rows);
  return items.filter(({ name }) => !leftOut.includes(name));
}

export function physicalFingerprint(items: readonly FingerprintItem[]): Fingerprint {
  return fingerprintOf(items, physicalMethod);
}

/** Of a running copy, as a superuser. */
export async function fingerprintCopy(
  address: ServerAddress,
  { databases, leftOut }: FingerprintExtent,
  signal: AbortSignal,
): Promise<Fingerprint> {
  const items: FingerprintItem[] = [];
  for (const database of databases) {
    await using connection = await connect(address, database, signal);
    await connection.query(pinnedSettings);
    await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const structure = await readStructure(connection, database);
    const sequences = await durableValues(connection, structure.sequences);
    items.push(...(await physicalItems(connection, { database, structure, sequences }, leftOut)));
  }
  return physicalFingerprint(items);
}

export function sequenceItemName(database: string, { schema, name }: SequenceName): string {
  return `${itemName(database, schema, name)} (sequence)`;
}

export function largeObjectsItemName(database: string): string {
  return `${itemName(database)} (large objects)`;
}
