// The tables of who may do what, and of what was done, as TypeScript sees them. Of secrets they hold hashes alone.

/** Text of a JSON document. */
type JsonText = string;

/** A key for programs. */
export interface ApiTokenTable {
  readonly id: string;
  /** SHA-256 of the token, in hex: whoever reads the table can't use it. */
  readonly hash: string;
  readonly name: string;
  readonly role: string;
  /** Names, or `*` alone for all. */
  readonly applications: JsonText;
  /** Absent for all that the role allows. */
  readonly scopes: JsonText | null;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly lastUsedAtMs: number | null;
  readonly revokedAtMs: number | null;
}

export interface UserAccountTable {
  readonly id: string;
  /** In lower case. */
  readonly name: string;
  /** With its parameters (`$argon2id$…`); absent for who logs in elsewhere. */
  readonly passwordHash: string | null;
  readonly createdAtMs: number;
  readonly disabledAtMs: number | null;
}

export interface UserGrantTable {
  readonly userId: string;
  /** `*` for all. */
  readonly application: string;
  readonly role: string;
}

/** Who an OpenID provider says somebody is. */
export interface UserIdentityTable {
  readonly issuer: string;
  readonly subject: string;
  readonly userId: string;
  readonly linkedAtMs: number;
}

export interface SessionTable {
  /** SHA-256 of what the cookie holds, in hex. */
  readonly hash: string;
  readonly userId: string;
  readonly address: string;
  readonly createdAtMs: number;
  readonly seenAtMs: number;
}

/** Attempts to log in that failed, by account and by address. */
export interface LoginFailureTable {
  /** `account <hash of the name>` or `address <network>`: people type passwords where names belong. */
  readonly subject: string;
  readonly failures: number;
  readonly lastAtMs: number;
}

/** One line of the audit log: never changed, chained to the one before it. */
export interface AuditEntryTable {
  readonly number: number;
  readonly atMs: number;
  readonly actorKind: string;
  readonly actorId: string;
  readonly actorName: string;
  /** Where a request came from; empty on the machine itself. */
  readonly address: string;
  readonly action: string;
  readonly application: string | null;
  readonly target: string | null;
  readonly outcome: string;
  readonly details: JsonText;
  readonly previousHash: string;
  /** SHA-256 of all the others, in hex. */
  readonly hash: string;
}

/** One row: where the log ends. Who appends takes it first, so that one appends at a time. */
export interface AuditHeadTable {
  readonly id: number;
  readonly number: number;
  readonly hash: string;
  readonly checkpointNumber: number;
  readonly checkpointAtMs: number;
}

/** A signed hash: rows before it may go, those behind it can still be checked. */
export interface AuditCheckpointTable {
  readonly number: number;
  readonly hash: string;
  readonly atMs: number;
  readonly keyId: string;
  readonly signature: string;
}

export interface AuditKeyTable {
  readonly id: string;
  /** PEM. */
  readonly publicKey: string;
  readonly addedAtMs: number;
}

/** What a request with this key was answered. */
export interface IdempotencyKeyTable {
  /** Who sent it. */
  readonly principal: string;
  readonly key: string;
  readonly requestHash: string;
  /** Absent while the request is being carried out. */
  readonly status: number | null;
  readonly answer: string | null;
  readonly createdAtMs: number;
}

export interface AccessTables {
  readonly apiToken: ApiTokenTable;
  readonly userAccount: UserAccountTable;
  readonly userGrant: UserGrantTable;
  readonly userIdentity: UserIdentityTable;
  readonly session: SessionTable;
  readonly loginFailure: LoginFailureTable;
  readonly auditEntry: AuditEntryTable;
  readonly auditHead: AuditHeadTable;
  readonly auditCheckpoint: AuditCheckpointTable;
  readonly auditKey: AuditKeyTable;
  readonly idempotencyKey: IdempotencyKeyTable;
}
