// Whose something is: a server of several applications says it, since each may have a `database`. For one it would say nothing.

interface OfOne {
  readonly application?: string | null | undefined;
}

/** `known` are those that could be in the list: what is wrong is often of one alone. */
export function isOfSeveral(known: readonly string[], listed: readonly OfOne[]): boolean {
  return new Set([...known, ...listed.flatMap(({ application }) => application ?? [])]).size > 1;
}
