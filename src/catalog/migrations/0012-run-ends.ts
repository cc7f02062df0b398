// Which runs have ended lately is asked every few seconds.
import type { Kysely } from 'kysely';

export async function up({ schema }: Pick<Kysely<unknown>, 'schema'>): Promise<void> {
  await schema.createIndex('run_ended').on('run').column('endedAtMs').execute();
}
