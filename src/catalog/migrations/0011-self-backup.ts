// What the service knows of itself: who it is, how often its state was recovered, and where that was backed up.
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';

export async function up(db: Kysely<{ service: object }>): Promise<void> {
  await db.schema
    .createTable('service')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('service', 'text', (column) => column.notNull())
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('signedAtMs', 'bigint')
    .execute();
  await db.insertInto('service').values({ id: 1, service: randomUUID(), generation: 1 }).execute();
  await db.schema
    .createTable('selfBackup')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('repository', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('snapshot', 'text', (column) => column.notNull())
    .addColumn('takenAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('self_backup_key', ['application', 'repository'])
    .execute();
}
