// Configurations as servers have them, for workers that have no files of their own.
import type { Kysely } from 'kysely';

export async function up({ schema }: Pick<Kysely<unknown>, 'schema'>): Promise<void> {
  await schema
    .createTable('configuration')
    .addColumn('application', 'text', (column) => column.primaryKey())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('templatePath', 'text')
    .addColumn('templateText', 'text')
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('worker', 'text', (column) => column.notNull())
    .addColumn('publishedAtMs', 'bigint', (column) => column.notNull())
    .execute();
}
