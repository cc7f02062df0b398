// What the service keeps besides its runs: how far runs are, what schedules say, leases of what always runs, and what repositories were last seen to hold.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('run').addColumn('progress', 'text').execute();
  await schema
    .alterTable('schedule')
    .addColumn('spec', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
  await schema
    .createTable('lease')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('holder', 'text')
    .addColumn('epoch', 'integer', (column) => column.notNull())
    .addColumn('untilMs', 'bigint', (column) => column.notNull())
    .addColumn('told', 'text')
    .addColumn('toldAtMs', 'bigint')
    .execute();
  await schema
    .createTable('inventory')
    .addColumn('application', 'text', (column) => column.primaryKey())
    .addColumn('document', 'text', (column) => column.notNull())
    .addColumn('takenAtMs', 'bigint', (column) => column.notNull())
    .execute();
}
