// Sums a stream of RDB records up to a fingerprint, per database and type. Keys that expire are summed apart, by when they
// do: a later look finds fewer of them and can leave out just those whose time may have come.
import { compareNames } from '../../base/byte-name.ts';
import type { Fingerprint, FingerprintItem } from '../../model/fingerprint.ts';
import type { ItemUnit } from '../../model/proof-content.ts';
import type { RdbKey, RdbRecord } from './rdb-reader.ts';
import { hashParts, HashSum } from './value-hash.ts';

/** Hours that share one item. Wider ones are taken once there are too many items; sums add up, so this can be done late. */
const widthsHours = [1, 24, 24 * 30, 24 * 365, 24 * 365 * 1000] as const;
const itemsMax = 4096;
const hourMs = 3_600_000;
const methodPrefix = 'redis-rdb-1 expiry-hours=';

interface Group {
  readonly database: number;
  readonly type: string;
  /** Hours since 1970 at which the group begins; absent for keys that stay. */
  readonly hour: number | undefined;
  readonly sum: HashSum;
  firstExpiryMs: number;
}

export class KeyspaceFingerprint {
  #groups = new Map<string, Group>();
  readonly #functions = new HashSum();
  #width: number;
  /** How many keys hold a module's own type, whose content no hash covers. */
  moduleKeys = 0;

  /** `like` makes it comparable with an earlier one, where that took a wider grouping. */
  constructor(like?: Fingerprint) {
    const hours = Number(like?.method.slice(methodPrefix.length));
    this.#width = Math.max(0, (widthsHours as readonly number[]).indexOf(hours));
  }

  add(record: RdbRecord): void {
    if (record.kind === 'function') this.#functions.add(hashParts([record.code]));
    else if (record.kind === 'key') this.#addKey(record);
  }

  /** Number of keys by database and type: `{ db0: { hash: 3 } }`. */
  counts(): Record<string, Record<string, number>> {
    const counts: Record<string, Record<string, number>> = {};
    for (const { database, type, sum } of this.#groups.values()) {
      const types = (counts[`db${database}`] ??= {});
      types[type] = (types[type] ?? 0) + sum.count;
    }
    return counts;
  }

  result(): Fingerprint {
    const hours = widthsHours[this.#width] ?? 1;
    const items = [...this.#groups.values()].map((group) => itemOf(group, hours));
    if (this.#functions.count > 0) {
      items.push({ name: 'functions', rows: this.#functions.count, sum: this.#functions.toString() });
    }
    const sorted = items.toSorted((left, right) => compareNames(left.name, right.name));
    return { version: 1, method: `${methodPrefix}${hours}`, items: sorted };
  }

  #addKey(record: RdbKey): void {
    if (record.digest === undefined) this.moduleKeys += 1;
    const hour = record.expiresAtMs === undefined ? undefined : this.#hourOf(record.expiresAtMs);
    const group = this.#groupOf(record, hour);
    if (record.digest === undefined) group.sum.count += 1;
    else group.sum.add(keyDigest(record, record.digest));
    if (record.expiresAtMs !== undefined) group.firstExpiryMs = Math.min(group.firstExpiryMs, record.expiresAtMs);
    while (this.#groups.size > itemsMax && this.#width < widthsHours.length - 1) this.#widen();
  }

  #hourOf(expiresAtMs: number): number {
    const widthMs = (widthsHours[this.#width] ?? 1) * hourMs;
    return Math.floor(expiresAtMs / widthMs) * (widthMs / hourMs);
  }

  #groupOf(of: { readonly database: number; readonly type: string }, hour: number | undefined): Group {
    const name = `${of.database} ${of.type} ${hour ?? ''}`;
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { database: of.database, type: of.type, hour, sum: new HashSum(), firstExpiryMs: Infinity };
      this.#groups.set(name, group);
    }
    return group;
  }

  #widen(): void {
    this.#width += 1;
    const narrow = this.#groups;
    this.#groups = new Map();
    for (const old of narrow.values()) {
      const group = this.#groupOf(old, old.hour === undefined ? undefined : this.#hourOf(old.hour * hourMs));
      group.sum.addSum(old.sum);
      group.firstExpiryMs = Math.min(group.firstExpiryMs, old.firstExpiryMs);
    }
  }
}

/** `db0 hash expiring within 1 h of …` → `hash key`. */
export function unitOf(name: string): ItemUnit {
  const [, type] = /^db\d+ (\S+)/.exec(name) ?? [];
  return { unit: type === undefined ? 'function library' : `${type} key` };
}

function keyDigest(record: RdbKey, value: Buffer): Buffer {
  const expiry = Buffer.alloc(8);
  expiry.writeDoubleLE(record.expiresAtMs ?? -1);
  return hashParts([record.key, Buffer.from(record.type, 'latin1'), expiry, value]);
}

function itemOf(group: Group, hours: number): FingerprintItem {
  const note = group.type === 'module' ? ' (counted only)' : '';
  const name = `db${group.database} ${group.type}${note}`;
  const counted = { rows: group.sum.count, sum: group.sum.toString() };
  if (group.hour === undefined) return { name, ...counted };
  const from = new Date(group.hour * hourMs);
  const begin = Number.isNaN(from.getTime()) ? `hour ${group.hour}` : from.toISOString().slice(0, 16);
  return { name: `${name} expiring within ${hours} h of ${begin}`, ...counted, expiresAtMs: group.firstExpiryMs };
}
