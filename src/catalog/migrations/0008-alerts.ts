// What is wrong, who is told of it, and what nobody wants to hear of.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('alert')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('openKey', 'text', (column) => column.unique())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('component', 'text')
    .addColumn('severity', 'text', (column) => column.notNull())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('facts', 'text', (column) => column.notNull())
    .addColumn('hint', 'text')
    .addColumn('command', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('sinceMs', 'bigint', (column) => column.notNull())
    .addColumn('firedAtMs', 'bigint')
    .addColumn('stepsFromMs', 'bigint')
    .addColumn('stepsTaken', 'integer', (column) => column.notNull())
    .addColumn('toldAtMs', 'bigint')
    .addColumn('acknowledgedAtMs', 'bigint')
    .addColumn('resolvedAtMs', 'bigint')
    .addColumn('byPerson', 'text')
    .execute();
  await schema.createIndex('alert_by_time').on('alert').columns(['application', 'sinceMs']).execute();
  await schema
    .createTable('alertDelivery')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('alertId', 'text', (column) => column.notNull().references('alert.id').onDelete('cascade'))
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('address', 'text')
    .addColumn('contact', 'text')
    .addColumn('otherWays', 'text', (column) => column.notNull())
    .addColumn('dueAtMs', 'bigint', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('reason', 'text')
    .addColumn('hint', 'text')
    .addColumn('receiverId', 'text')
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addColumn('endedAtMs', 'bigint')
    .execute();
  await schema.createIndex('alert_delivery_by_alert').on('alertDelivery').column('alertId').execute();
  await schema.createIndex('alert_delivery_due').on('alertDelivery').columns(['outcome', 'dueAtMs']).execute();
  await schema
    .createTable('silence')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('component', 'text')
    .addColumn('subject', 'text')
    .addColumn('untilMs', 'bigint', (column) => column.notNull())
    .addColumn('byPerson', 'text', (column) => column.notNull())
    .addColumn('reason', 'text')
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .execute();
}
