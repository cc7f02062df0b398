// Configurations that servers hand to workers: of each application the one that is in force.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { ConfigurationTable } from './self-tables.ts';

export type PublishedConfiguration = Selectable<ConfigurationTable>;
export type NewConfiguration = Omit<PublishedConfiguration, 'version' | 'publishedAtMs'>;

/** Where others have published the same, its version stays; who published it last keeps it. */
export async function publishConfiguration({ db, now }: Catalog, configuration: NewConfiguration): Promise<void> {
  const { application, host, worker, ...content } = configuration;
  const known = await db
    .updateTable('configuration')
    .set({ host, worker })
    .where('application', '=', application)
    .where('path', '=', content.path)
    .where('text', '=', content.text)
    .where('templatePath', 'is not distinct from', content.templatePath)
    .where('templateText', 'is not distinct from', content.templateText)
    .executeTakeFirst();
  if (known.numUpdatedRows > 0n) return;
  const publishedAtMs = now();
  await db
    .insertInto('configuration')
    .values({ ...configuration, version: 1, publishedAtMs })
    .onConflict((conflict) =>
      conflict.column('application').doUpdateSet((row) => ({
        ...content,
        host,
        worker,
        publishedAtMs,
        version: row('configuration.version', '+', 1),
      })),
    )
    .execute();
}

/** In the order of their applications. */
export async function publishedConfigurations({ db }: Catalog): Promise<PublishedConfiguration[]> {
  return db.selectFrom('configuration').selectAll().orderBy('application').execute();
}

/** Takes back what one worker published of an application. */
export async function withdrawConfiguration(
  { db }: Catalog,
  { application, worker }: Pick<PublishedConfiguration, 'application' | 'worker'>,
): Promise<void> {
  await db.deleteFrom('configuration').where('application', '=', application).where('worker', '=', worker).execute();
}
