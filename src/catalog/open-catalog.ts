// Opens the catalog wherever it lies, and brings it to what this program knows.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CamelCasePlugin, Kysely, PostgresDialect, sql, type RawBuilder } from 'kysely';
import type { Clock } from '../base/clock.ts';
import { AppError, asError, isAppError } from '../base/errors.ts';
import type { Catalog, Queries } from './catalog.ts';
import { migrateCatalog } from './migrate.ts';
import { sqliteDialect } from './sqlite-database.ts';
import type { Tables } from './tables.ts';

export interface CatalogLocation {
  /** Of the SQLite file. */
  readonly path: string;
  /** `postgres://…` in its place. */
  readonly url: string | undefined;
}

/**
 * Opens, creates and migrates. A process opens one SQLite file once: the wait for another connection's transaction stops the whole
 * process, and with it that transaction. Rejects with `CATALOG_NEWER` if a later Lifeboat has changed it, `CATALOG_UNREACHABLE` if it can't be
 * had.
 */
export async function openCatalog(location: CatalogLocation, clock: Clock): Promise<Catalog> {
  const { path, url } = location;
  const catalog = await connectCatalog(location, clock);
  try {
    await migrateCatalog(catalog);
    return catalog;
  } catch (error) {
    await catalog.db.destroy();
    throw isAppError(error) ? error : unreachable(url === undefined ? path : 'LIFEBOAT_DATABASE_URL', asError(error));
  }
}

/** As it is, of whatever age. */
export async function connectCatalog({ path, url }: CatalogLocation, clock: Clock): Promise<Catalog> {
  return url === undefined ? sqliteCatalog(path, clock) : postgresCatalog(url);
}

function unreachable(place: string, cause: Error): AppError {
  return new AppError('CATALOG_UNREACHABLE', `the catalog at ${place} can't be opened: ${cause.message}`, {
    hint: 'See that it is there and that this user may read and write it; nothing of it was changed.',
    cause,
  });
}

async function sqliteCatalog(path: string, clock: Clock): Promise<Catalog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const now = (): RawBuilder<number> => sql<number>`${clock.now()}`;
  return catalogOf(
    'sqlite',
    new Kysely<Tables>({ dialect: sqliteDialect(path), plugins: [new CamelCasePlugin()] }),
    now,
  );
}

const schemaName = 'lifeboat';

function postgresCatalog(url: string): Catalog {
  // Most have a file: memory for what speaks to servers is taken by who has one.
  const pool = async () => (await import('./postgres-pool.ts')).postgresPool(url);
  const dialect = new PostgresDialect({ pool });
  const db = new Kysely<Tables>({ dialect, plugins: [new CamelCasePlugin()] }).withSchema(schemaName);
  const now = (): RawBuilder<number> => sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
  return catalogOf('postgres', db, now);
}

function catalogOf(kind: Catalog['kind'], db: Queries, now: Catalog['now']): Catalog {
  return {
    kind,
    db,
    now,
    async nowMs(trx = db) {
      const { rows } = await sql<{ now: number }>`select ${now()} as now`.execute(trx);
      return Number(rows[0]?.now);
    },
    transaction: (work) => db.transaction().execute(work),
    [Symbol.asyncDispose]: () => db.destroy(),
  };
}
