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

/** What a server has in force for an application, for workers elsewhere. */
export interface ConfigurationTable {
  readonly application: string;
  /** Goes up with each change. */
  readonly version: number;
  /** Of the file at the server: what is relative in it starts from its folder. */
  readonly path: string;
  /** Empty where it is not handed out. */
  readonly text: string;
  readonly templatePath: string | null;
  readonly templateText: string | null;
  /** Of the server. */
  readonly host: string;
  /** The server's own. */
  readonly worker: string;
  readonly publishedAtMs: number;
}

export interface SelfTables {
  readonly configuration: ConfigurationTable;
  readonly service: ServiceTable;
  readonly selfBackup: SelfBackupTable;
}
