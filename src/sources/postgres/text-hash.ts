// The one hash of fingerprints, as SQL. Another seed or function is another method: change `fingerprintMethod` with it.

/** The hash of a text expression: 64 bits, the same on every major. */
export function textHash(expression: string): string {
  return `pg_catalog.hashtextextended((${expression}) COLLATE "C", 20261)`;
}

/** The sum of hashes, each taken as an unsigned number; text, as no number type of ours holds it. */
export function hashSum(hash: string): string {
  return `(coalesce(sum(${hash}), 0) + count(${hash})::numeric * 9223372036854775808)::text`;
}
