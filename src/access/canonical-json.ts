// One text for one value, whoever writes it (RFC 8785): what is hashed and signed must not depend on the order of keys.
import type { JsonValue } from '../base/json.ts';

export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((part) => canonicalJson(part as JsonValue)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value as Readonly<Record<string, JsonValue>>);
  // By UTF-16 units, as `<` compares.
  const sorted = entries.toSorted(([first], [second]) => (first < second ? -1 : 1));
  return `{${sorted.map(([key, part]) => `${JSON.stringify(key)}:${canonicalJson(part)}`).join(',')}}`;
}
