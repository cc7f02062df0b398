// What a proof compared, in the words of its kind: files and bytes, tables and rows, keys by type. One form for the machine,
// one sentence for people.
import { formatByteSize } from '../base/byte-size.ts';
import { count } from '../base/count.ts';
import type { FingerprintItem } from './fingerprint.ts';

/** What the rows of a fingerprint's item are: `row` within a `table`, `hash key`, `schema object`. Nouns in the singular. */
export interface ItemUnit {
  readonly unit: string;
  /** Counted besides: one for each item. */
  readonly container?: string;
}

export interface ContentCount {
  /** A noun in the singular: `table`, `row`, `string key`, `file`, `byte`. */
  readonly what: string;
  readonly count: number;
}

/** Of a fingerprint, by noun: first what containers hold, each behind its container. */
export function contentOf(items: readonly FingerprintItem[], unitOf: (name: string) => ItemUnit): ContentCount[] {
  const counts = new Map<string, number>();
  const add = (what: string, more: number): void => void counts.set(what, (counts.get(what) ?? 0) + more);
  const units = items.map(({ name, rows }) => ({ rows, ...unitOf(name) }));
  for (const { rows, unit, container } of units.filter((one) => one.container !== undefined)) {
    add(container ?? unit, 1);
    add(unit, rows);
  }
  for (const { rows, unit, container } of units) if (container === undefined) add(unit, rows);
  return Array.from(counts, ([what, number]) => ({ what, count: number }));
}

/** `3 tables with 500 rows, 1 sequence and 12 schema objects`; `10 files of 442.6 KiB and 2 folders`. */
export function contentWords(content: readonly ContentCount[]): string {
  const parts: string[] = [];
  for (const { what, count: number } of content) {
    const last = parts.at(-1);
    const isHeld = what === 'row' && last !== undefined && /^[\d,]+ tables?$/.test(last);
    if (isHeld) parts.push(`${parts.pop() ?? ''} with ${count(number, what)}`);
    else if (what === 'byte') parts.push(`${parts.pop() ?? 'files'} of ${formatByteSize(number)}`);
    else parts.push(count(number, what));
  }
  if (parts.length === 0) return 'nothing';
  return parts.length === 1 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`;
}
