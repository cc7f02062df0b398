// What probes saw: how each stands, when that changed, and what hours were like.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('probeState')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('probe', 'text', (column) => column.notNull())
    .addColumn('component', 'text')
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('isFlapping', 'integer', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('hint', 'text')
    .addColumn('latencyMs', 'integer', (column) => column.notNull())
    .addColumn('facts', 'text', (column) => column.notNull())
    .addColumn('sinceMs', 'bigint', (column) => column.notNull())
    .addColumn('seenAtMs', 'bigint', (column) => column.notNull())
    .addColumn('recent', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('probe_state_key', ['application', 'probe'])
    .execute();
  await schema
    .createTable('probeChange')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('probe', 'text', (column) => column.notNull())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('probe_change_key', ['application', 'probe', 'atMs'])
    .execute();
  await schema
    .createTable('probeHour')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('probe', 'text', (column) => column.notNull())
    .addColumn('hourMs', 'bigint', (column) => column.notNull())
    .addColumn('up', 'integer', (column) => column.notNull())
    .addColumn('degraded', 'integer', (column) => column.notNull())
    .addColumn('down', 'integer', (column) => column.notNull())
    .addColumn('unknown', 'integer', (column) => column.notNull())
    .addColumn('latencies', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('probe_hour_key', ['application', 'probe', 'hourMs'])
    .execute();
}
