// What is asked for of a store whose objects sleep in an archive class, and how far it is.
export interface ThawWish {
  /** How long the copies stay. */
  readonly days: number;
  /** Those that can be read already shall stay so long from now, where they would go earlier. */
  readonly prolongs: boolean;
  readonly tier: 'Bulk' | 'Standard' | 'Expedited';
  /** Looks only. */
  readonly isDryRun: boolean;
}

export interface Thawing {
  /** Objects in classes that don't answer. */
  readonly archived: number;
  readonly archivedBytes: number;
  /** Of these: can be read now, asked for before and not yet there, asked for just now, and not asked for. */
  readonly ready: number;
  readonly waiting: number;
  readonly requested: number;
  readonly untouched: number;
  /** Of those that can be read: stay longer from now on; where it only looked, would if it were asked for. */
  readonly prolonged: number;
  /** When the first of those that can be read goes, as ISO time; absent where none can be, or the store does not say. */
  readonly readableUntil?: string | undefined;
}
