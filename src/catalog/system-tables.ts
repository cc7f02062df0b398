// The tables of what was last seen of an application, besides how its components stand.

export interface SeenRepositoryTable {
  readonly application: string;
  readonly repository: string;
  /** Absent where it could not be read. */
  readonly snapshots: number | null;
  /** What its snapshots added, compressed. */
  readonly storedBytes: number | null;
  /** Why it could not be read. */
  readonly problem: string | null;
  readonly seenAtMs: number;
}

/** The newest proof of a component. */
export interface SeenProofTable {
  readonly application: string;
  readonly component: string;
  readonly outcome: string;
  readonly message: string;
  readonly atMs: number;
}

export interface SystemTables {
  readonly seenRepository: SeenRepositoryTable;
  readonly seenProof: SeenProofTable;
}
