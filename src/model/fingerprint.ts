// What a set of data was at one instant, small enough to keep and exact enough that one row lost, changed or added shows.

import { z } from 'zod';

export const fingerprintSchema = z.object({
  version: z.literal(1),
  method: z.string(),
  items: z.array(z.object({ name: z.string(), rows: z.number(), sum: z.string(), expiresAtMs: z.number().optional() })),
});

/** One table (or one kind of key): how many rows, and the order-independent sum of their hashes. */
export interface FingerprintItem {
  /** `database.schema.table` for a database, `db0 hash` for Redis. */
  readonly name: string;
  readonly rows: number;
  /** Decimal sum of the row hashes. A sum, never XOR: two equal rows would cancel. */
  readonly sum: string;
  /** From this instant on rows of it may have vanished by themselves. Absent if they never do. */
  readonly expiresAtMs?: number | undefined;
}

export interface Fingerprint {
  readonly version: 1;
  /** How the hashes were made; fingerprints of different methods can't be compared. */
  readonly method: string;
  readonly items: readonly FingerprintItem[];
}

export interface FingerprintDifference {
  readonly name: string;
  readonly kind: 'missing' | 'added' | 'changed';
  readonly rowsExpected: number;
  readonly rowsFound: number;
}

/**
 * Compares item by item; an empty answer means equal. The two must have the same method.
 * Items of which rows may have expired by `nowMs`, an instant at or after the later one was made, are left out.
 */
export function compareFingerprints(
  expected: Fingerprint,
  found: Fingerprint,
  nowMs = -Infinity,
): FingerprintDifference[] {
  const left = new Map(expected.items.map((item) => [item.name, item]));
  const right = new Map(found.items.map((item) => [item.name, item]));
  const differences: FingerprintDifference[] = [];
  for (const [name, item] of left) {
    const other = right.get(name);
    if ((other?.rows === item.rows && other.sum === item.sum) || hasExpired(item, nowMs)) continue;
    const kind = other === undefined ? 'missing' : 'changed';
    differences.push({ name, kind, rowsExpected: item.rows, rowsFound: other?.rows ?? 0 });
  }
  for (const [name, item] of right) {
    if (left.has(name) || hasExpired(item, nowMs)) continue;
    differences.push({ name, kind: 'added', rowsExpected: 0, rowsFound: item.rows });
  }
  return differences;
}

/** Whether rows of an item may be gone by themselves, so that it is not compared. */
export function hasExpired(item: FingerprintItem, nowMs: number): boolean {
  return item.expiresAtMs !== undefined && item.expiresAtMs <= nowMs;
}
