// Brings the catalog's tables to what this program knows: in one transaction, one process at a time.
import { Migrator, type Migration } from 'kysely/migration';
import { AppError, asError } from '../base/errors.ts';
import type { Catalog } from './catalog.ts';
import { up as runs } from './migrations/0001-runs.ts';
import { up as access } from './migrations/0002-access.ts';
import { up as service } from './migrations/0003-service.ts';
import { up as ledger } from './migrations/0004-ledger.ts';
import { up as runOrder } from './migrations/0006-run-order.ts';
import { up as noInventory } from './migrations/0007-no-inventory.ts';
import { up as alerts } from './migrations/0008-alerts.ts';
import { up as probes } from './migrations/0009-probes.ts';

/** In the order of their names. What is here never changes once it was released: it goes on in another file. */
const migrations: Record<string, Migration> = {
  '0001-runs': { up: runs },
  '0002-access': { up: access },
  '0003-service': { up: service },
  '0004-ledger': { up: ledger },
  '0006-run-order': { up: runOrder },
  '0007-no-inventory': { up: noInventory },
  '0008-alerts': { up: alerts },
  '0009-probes': { up: probes },
};

/** Oldest first. */
export const migrationNames = Object.keys(migrations).toSorted();

/** To the newest, or as far as an earlier Lifeboat went. Rejects with `CATALOG_NEWER` if a later one was here. */
export async function migrateCatalog({ db, kind }: Pick<Catalog, 'db' | 'kind'>, upTo?: string): Promise<void> {
  const migrator = new Migrator({
    db,
    // Branches of development may come together in any order; none of them changes what another made.
    allowUnorderedMigrations: true,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    ...(kind === 'postgres' && { migrationTableSchema: 'lifeboat' }),
  });
  const { error: thrown } = await (upTo === undefined ? migrator.migrateToLatest() : migrator.migrateTo(upTo));
  if (thrown === undefined) return;
  const error = asError(thrown);
  const unknown = /previously executed migration (\S+) is missing/.exec(error.message)?.[1];
  if (unknown === undefined) throw error;
  throw new AppError('CATALOG_NEWER', `the catalog has tables of a later Lifeboat: ${unknown} is not known here`, {
    hint: 'Use the Lifeboat that was here last, or a later one.',
    cause: error,
  });
}
