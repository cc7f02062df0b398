// Runs are looked back at newest first, however many there are.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema.createIndex('run_order').on('run').columns(['createdAtMs', 'id']).execute();
}
