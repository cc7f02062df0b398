// Runs with their steps, signals and events; workers; schedules and the moments they fired at.
import { sql, type Kysely } from 'kysely';

type Schema = Kysely<unknown>['schema'];

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await createRuns(schema);
  await createPartsOfRuns(schema);
  await createWorkers(schema);
  await createSchedules(schema);
}

async function createRuns(schema: Schema): Promise<void> {
  await schema
    .createTable('run')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('application', 'text')
    .addColumn('component', 'text')
    .addColumn('input', 'text', (column) => column.notNull())
    .addColumn('labels', 'text', (column) => column.notNull())
    .addColumn('concurrencyKey', 'text')
    .addColumn('priority', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('epoch', 'integer', (column) => column.notNull())
    .addColumn('worker', 'text')
    .addColumn('leaseUntilMs', 'bigint')
    .addColumn('wakeAtMs', 'bigint')
    .addColumn('waitsFor', 'text')
    .addColumn('crashes', 'integer', (column) => column.notNull())
    .addColumn('attempt', 'integer', (column) => column.notNull())
    .addColumn('attemptsMax', 'integer', (column) => column.notNull())
    .addColumn('origin', 'text', (column) => column.notNull())
    .addColumn('output', 'text')
    .addColumn('error', 'text')
    .addColumn('cancelRequestedAtMs', 'bigint')
    .addColumn('createdAtMs', 'bigint', (column) => column.notNull())
    .addColumn('startedAtMs', 'bigint')
    .addColumn('endedAtMs', 'bigint')
    .execute();
  await schema
    .createIndex('run_one_per_key')
    .unique()
    .on('run')
    .column('concurrencyKey')
    .where(sql<boolean>`state = 'running'`)
    .execute();
  await schema
    .createIndex('run_open')
    .on('run')
    .columns(['state', 'createdAtMs'])
    .where(sql<boolean>`state in ('queued', 'running', 'waiting')`)
    .execute();
  await schema.createIndex('run_history').on('run').columns(['application', 'component', 'createdAtMs']).execute();
}

async function createPartsOfRuns(schema: Schema): Promise<void> {
  await schema
    .createTable('step')
    .addColumn('runId', 'text', (column) => column.notNull().references('run.id').onDelete('cascade'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('epoch', 'integer', (column) => column.notNull())
    .addColumn('handle', 'text')
    .addColumn('output', 'text')
    .addColumn('begunAtMs', 'bigint', (column) => column.notNull())
    .addColumn('doneAtMs', 'bigint')
    .addPrimaryKeyConstraint('step_key', ['runId', 'name'])
    .execute();
  await schema
    .createTable('signal')
    .addColumn('runId', 'text', (column) => column.notNull().references('run.id').onDelete('cascade'))
    .addColumn('topic', 'text', (column) => column.notNull())
    .addColumn('data', 'text', (column) => column.notNull())
    .addColumn('sentAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('signal_key', ['runId', 'topic'])
    .execute();
  await schema
    .createTable('runEvent')
    .addColumn('runId', 'text', (column) => column.notNull().references('run.id').onDelete('cascade'))
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('run_event_key', ['runId', 'number'])
    .execute();
}

async function createWorkers(schema: Schema): Promise<void> {
  await schema
    .createTable('worker')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('labels', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('startedAtMs', 'bigint', (column) => column.notNull())
    .addColumn('seenAtMs', 'bigint', (column) => column.notNull())
    .addColumn('endedAtMs', 'bigint')
    .execute();
}

async function createSchedules(schema: Schema): Promise<void> {
  await schema
    .createTable('schedule')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('pausedAtMs', 'bigint')
    .addColumn('pausedUntilMs', 'bigint')
    .addColumn('firedUpToMs', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createTable('firing')
    .addColumn('scheduleId', 'text', (column) => column.notNull())
    .addColumn('plannedAtMs', 'bigint', (column) => column.notNull())
    .addColumn('runId', 'text')
    .addColumn('firedAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('firing_key', ['scheduleId', 'plannedAtMs'])
    .execute();
}
