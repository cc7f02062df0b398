// The tables of what the service knows of itself, as TypeScript sees them.

/** One row. */
export interface ServiceTable {
  readonly id: number;
  /** The same after the state was recovered elsewhere. */
  readonly service: string;
  /** Goes up each time the state is recovered: of two servers of one service the higher one acts. */
  readonly generation: number;
  /** When it last left a sign in the repositories that it lives. */
  readonly signedAtMs: number | null;
}

/** The last backup of the state in each repository. */
export interface SelfBackupTable {
  readonly application: string;
  readonly repository: string;
  /** Of the configuration files that are in it. */
  readonly version: string;
  readonly snapshot: string;
  readonly takenAtMs: number;
}

export interface SelfTables {
  readonly service: ServiceTable;
  readonly selfBackup: SelfBackupTable;
}
