// What a command returned, cut to a size that can be kept for every run for years: of long lists the beginning and the length.

import { z } from 'zod';

const listMax = 20;
const textMax = 1000;
const depthMax = 6;

export function digestOf(summary: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  const digest = digestOfValue(summary ?? {}, 0) as Record<string, unknown>;
  delete digest['message_type'];
  return digest;
}

function digestOfValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length <= textMax ? value : `${value.slice(0, textMax)}…`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= depthMax) return '…';
  if (Array.isArray(value)) {
    const kept = value.slice(0, listMax).map((item) => digestOfValue(item, depth + 1));
    return value.length <= listMax ? kept : [...kept, `and ${value.length - listMax} more`];
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, digestOfValue(item, depth + 1)]));
}

/** A list in a digest, as it was; the word on how much more there was is left out. */
export function listInDigest<Item extends z.ZodObject>(item: Item) {
  return z.array(z.union([item, z.string()])).transform((all) => all.filter((one) => typeof one !== 'string'));
}
