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
import { up as system } from './migrations/0010-system.ts';
import { up as selfBackup } from './migrations/0011-self-backup.ts';
import { up as runEnds } from './migrations/0012-run-ends.ts';
import { up as runOrderOfApplication } from './migrations/0013-run-order-of-application.ts';
import { up as restoreTimes } from './migrations/0014-restore-times.ts';
import { up as configurations } from './migrations/0015-configurations.ts';

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
  '0010-system': { up: system },
  '0011-self-backup': { up: selfBackup },
  '0012-run-ends': { up: runEnds },
  '0013-run-order-of-application': { up: runOrderOfApplication },
  '0014-restore-times': { up: restoreTimes },
  '0015-configurations': { up: configurations },
};

/** Oldest first. */
export const migrationNames = Object.keys(migrations).toSorted();

type Place = Pick<Catalog, 'db' | 'kind'>;

function migratorOf({ db, kind }: Place, known: typeof migrations): Migrator {
  return new Migrator({
    db,
    // Branches of development may come together in any order; none of them changes what another made.
    allowUnorderedMigrations: true,
    provider: { getMigrations: () => Promise.resolve(known) },
    ...(kind === 'postgres' && { migrationTableSchema: 'lifeboat' }),
  });
}

/** Those that a catalog has behind it. */
export async function migrationsOf(place: Place): Promise<string[]> {
  const known = await migratorOf(place, migrations).getMigrations();
  return known.filter(({ executedAt }) => executedAt !== undefined).map(({ name }) => name);
}

/** Brings an empty catalog to where another one stood that had these behind it. Rejects with `CATALOG_NEWER` if that was a later Lifeboat's. */
export async function migrateLike(place: Place, names: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !(name in migrations));
  if (unknown !== undefined) throw newer(unknown);
  const own = Object.entries(migrations).filter(([name]) => names.includes(name));
  const { error } = await migratorOf(place, Object.fromEntries(own)).migrateToLatest();
  if (error !== undefined) throw asError(error);
}

/** To the newest, or as far as an earlier Lifeboat went. Rejects with `CATALOG_NEWER` if a later one was here. */
export async function migrateCatalog(place: Place, upTo?: string): Promise<void> {
  const migrator = migratorOf(place, migrations);
  const { error: thrown } = await (upTo === undefined ? migrator.migrateToLatest() : migrator.migrateTo(upTo));
  if (thrown === undefined) return;
  const error = asError(thrown);
  const unknown = /previously executed migration (\S+) is missing/.exec(error.message)?.[1];
  throw unknown === undefined ? error : newer(unknown, error);
}

function newer(unknown: string, cause?: Error): AppError {
  return new AppError('CATALOG_NEWER', `the catalog has tables of a later Lifeboat: ${unknown} is not known here`, {
    hint: 'Use the Lifeboat that was here last, or a later one.',
    cause,
  });
}
