// Tokens, users with their roles, identities and sessions; failed logins; the audit log; idempotency keys.
import type { Kysely } from 'kysely';

type Schema = Kysely<unknown>['schema'];

export async function up(db: Kysely<unknown>): Promise<void> {
  await createTokens(db.schema);
  await createUsers(db.schema);
  await createLogins(db.schema);
  await createAudit(db);
  await createIdempotencyKeys(db.schema);
}

async function createTokens(schema: Schema): Promise<void> {
  await schema
    .createTable('apiToken')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('hash', 'text', (column) => column.notNull().unique())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('applications', 'text', (column) => column.notNull())
    .addColumn('scopes', 'text')
    .addColumn('createdBy', 'text', (column) => column.notNull())
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addColumn('expiresAtMs', 'bigint')
    .addColumn('lastUsedAtMs', 'bigint')
    .addColumn('revokedAtMs', 'bigint')
    .execute();
}

async function createUsers(schema: Schema): Promise<void> {
  await schema
    .createTable('userAccount')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('passwordHash', 'text')
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addColumn('disabledAtMs', 'bigint')
    .execute();
  await schema
    .createTable('userGrant')
    .addColumn('userId', 'text', (column) => column.notNull().references('userAccount.id').onDelete('cascade'))
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('user_grant_key', ['userId', 'application'])
    .execute();
  await schema
    .createTable('userIdentity')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('userId', 'text', (column) => column.notNull().references('userAccount.id').onDelete('cascade'))
    .addColumn('linkedAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('user_identity_key', ['issuer', 'subject'])
    .execute();
}

async function createLogins(schema: Schema): Promise<void> {
  await schema
    .createTable('session')
    .addColumn('hash', 'text', (column) => column.primaryKey())
    .addColumn('userId', 'text', (column) => column.notNull().references('userAccount.id').onDelete('cascade'))
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addColumn('seenAtMs', 'bigint', (column) => column.notNull())
    .execute();
  await schema.createIndex('session_user').on('session').column('userId').execute();
  await schema
    .createTable('loginFailure')
    .addColumn('subject', 'text', (column) => column.primaryKey())
    .addColumn('failures', 'integer', (column) => column.notNull())
    .addColumn('lastAtMs', 'bigint', (column) => column.notNull())
    .execute();
  await schema.createIndex('login_failure_age').on('loginFailure').column('lastAtMs').execute();
}

async function createAudit(db: Kysely<{ auditHead: object }>): Promise<void> {
  await db.schema
    .createTable('auditEntry')
    .addColumn('number', 'bigint', (column) => column.primaryKey())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addColumn('actorKind', 'text', (column) => column.notNull())
    .addColumn('actorId', 'text', (column) => column.notNull())
    .addColumn('actorName', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('application', 'text')
    .addColumn('target', 'text')
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('details', 'text', (column) => column.notNull())
    .addColumn('previousHash', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('audit_entry_application').on('auditEntry').columns(['application', 'number']).execute();
  await db.schema
    .createTable('auditHead')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('number', 'bigint', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('checkpointNumber', 'bigint', (column) => column.notNull())
    .addColumn('checkpointAtMs', 'bigint', (column) => column.notNull())
    .execute();
  const head = { id: 1, number: 0, hash: '', checkpointNumber: 0, checkpointAtMs: 0 };
  await db.insertInto('auditHead').values(head).execute();
  await db.schema
    .createTable('auditCheckpoint')
    .addColumn('number', 'bigint', (column) => column.primaryKey())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addColumn('keyId', 'text', (column) => column.notNull())
    .addColumn('signature', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('auditKey')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('publicKey', 'text', (column) => column.notNull())
    .addColumn('addedAtMs', 'bigint', (column) => column.notNull())
    .execute();
}

async function createIdempotencyKeys(schema: Schema): Promise<void> {
  await schema
    .createTable('idempotencyKey')
    .addColumn('principal', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('requestHash', 'text', (column) => column.notNull())
    .addColumn('status', 'integer')
    .addColumn('answer', 'text')
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('idempotency_key_key', ['principal', 'key'])
    .execute();
}
