// How components stand against what was promised: now, and as a time series.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('standing')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('standing', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('hint', 'text')
    .addColumn('ageMs', 'bigint')
    .addColumn('rpoMs', 'bigint')
    .addColumn('sinceMs', 'bigint', (column) => column.notNull())
    .addColumn('seenAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('standing_key', ['application', 'component'])
    .execute();
  await schema
    .createTable('standingSample')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addColumn('standing', 'text', (column) => column.notNull())
    .addColumn('ageMs', 'bigint')
    .addPrimaryKeyConstraint('standing_sample_key', ['application', 'component', 'atMs'])
    .execute();
}
