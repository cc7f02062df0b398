// What a restore needs to know of a recovery point before it reads the data itself.
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { RecoveryReader } from '../source.ts';
import { dumpPath } from './redis-session.ts';

export interface RecoveryPoint {
  readonly sizeBytes: number;
  readonly rdbVersion: number;
  /** Memory of the server backed up. */
  readonly usedMemoryBytes: number;
  /** Keys by database index; absent if this program could not read the content. */
  readonly keys: ReadonlyMap<number, number> | undefined;
  readonly fingerprint: Fingerprint | undefined;
}

/** Undefined if the recovery point is none of Redis. */
export async function readRecoveryPoint(
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<RecoveryPoint | undefined> {
  let sizeBytes: number | undefined;
  for await (const { path, metadata } of reader.entries(signal)) {
    if (path === dumpPath) sizeBytes = metadata.sizeBytes;
  }
  if (sizeBytes === undefined) return undefined;
  const facts = await reader.facts(signal);
  const fingerprint = await reader.fingerprint(signal);
  return {
    sizeBytes: Math.max(sizeBytes, Number(facts['rdbSizeBytes'] ?? 0)),
    rdbVersion: Number(facts['rdbVersion'] ?? 0),
    usedMemoryBytes: Number(facts['usedMemoryBytes'] ?? 0),
    keys: fingerprint === undefined ? undefined : keysOf(fingerprint),
    fingerprint,
  };
}

function keysOf(fingerprint: Fingerprint): Map<number, number> {
  const keys = new Map<number, number>();
  for (const { name, rows } of fingerprint.items) {
    const database = databaseOf(name);
    if (database !== undefined) keys.set(database, (keys.get(database) ?? 0) + rows);
  }
  return keys;
}

/** `db3 hash` → 3. */
export function databaseOf(itemName: string): number | undefined {
  const index = /^db(\d+) /.exec(itemName)?.[1];
  return index === undefined ? undefined : Number(index);
}
