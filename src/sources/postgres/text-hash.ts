// The one hash of fingerprints, as SQL. Another seed or function is another method: change `fingerprintMethod` with it.

/** The hash of a text expression: 64 bits, the same on every major. */
export function textHash(expression: string): string {
  return `pg_catalog.hashtextextended((${expression}) COLLATE "C", 20261)`;
}
