// What repositories hold is judged when it is seen; the answer itself is not kept.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema.dropTable('inventory').execute();
}
