// Where a standby has to stand still on its way. The feed gives nothing behind the next of them until it is passed.
import type { Lsn } from '../wal/lsn.ts';
import { longHeaderBytes, walPageBytes } from '../wal/page-header.ts';

export type StandbyStop =
  /** Its backup is consistent: its rows are compared with its fingerprint. */
  | { readonly kind: 'base'; readonly lsn: Lsn }
  /** A backup takes a fingerprint: the rows are remembered. */
  | { readonly kind: 'mark'; readonly lsn: Lsn }
  /** What comes next makes a folder at that place of the machine. */
  | { readonly kind: 'tablespace'; readonly lsn: Lsn; readonly oid: number; readonly location: string };

export class StandbyStops {
  #stops: readonly StandbyStop[] = [];

  get next(): StandbyStop | undefined {
    return this.#stops[0];
  }

  /** One is enough of each kind at a place. */
  add(stop: StandbyStop): void {
    if (this.#stops.some(({ kind, lsn }) => kind === stop.kind && lsn === stop.lsn)) return;
    this.#stops = [...this.#stops, stop].toSorted((left, right) => (left.lsn < right.lsn ? -1 : 1));
  }

  pass(stop: StandbyStop): void {
    this.#stops = this.#stops.filter((one) => one !== stop);
  }

  /** All but those that no hurry can pass. */
  clear(): void {
    this.#stops = this.#stops.filter(({ kind }) => kind === 'tablespace');
  }
}

/** An insert position right behind a page's last record counts the next page's header, too. */
export function isAt(replayed: Lsn, lsn: Lsn): boolean {
  if (replayed === lsn) return true;
  const pageStart = lsn - (lsn % BigInt(walPageBytes));
  return replayed === pageStart && lsn - pageStart <= longHeaderBytes;
}
