// The newest runs of one application are found without sorting all that it ever had.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createIndex('run_order_of_application')
    .on('run')
    .columns(['application', 'createdAtMs', 'id'])
    .execute();
}
