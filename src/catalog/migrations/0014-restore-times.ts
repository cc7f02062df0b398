// How long it takes to bring a component back, beside how old what comes back is: now, and as a time series.
import type { Kysely } from 'kysely';

export async function up({ schema }: Pick<Kysely<unknown>, 'schema'>): Promise<void> {
  for (const column of ['rtoMs', 'restoreMs', 'restoreAtMs', 'restoreLowMs', 'restoreHighMs'])
    await schema.alterTable('standing').addColumn(column, 'bigint').execute();
  await schema.alterTable('standingSample').addColumn('restoreMs', 'bigint').execute();
}
