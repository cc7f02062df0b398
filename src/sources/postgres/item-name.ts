// Names of fingerprint items: one way to quote, the same for every server version, so that equal things have equal names.

const plain = /^[a-z_][a-z0-9_$]*$/;

/** `shop.public.orders`; parts that are not plain are quoted, so that no two things share a name. */
export function itemName(...parts: readonly string[]): string {
  return parts.map((part) => (plain.test(part) ? part : `"${part.replaceAll('"', '""')}"`)).join('.');
}
