// Puts a catalog where the service looks for it: made beside what is there, which is set aside once the new one is whole, and never removed.
import { access, rename, rm } from 'node:fs/promises';
import { sql } from 'kysely';
import type { Clock } from '../../base/clock.ts';
import { AppError, errnoOf } from '../../base/errors.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { connectCatalog, type CatalogLocation } from '../../catalog/open-catalog.ts';
import { liveWorkers } from '../../catalog/workers.ts';

/** What lies where the catalog is to be. */
export type CatalogThere = 'nothing' | 'empty' | 'used';

export async function lookAtCatalog(location: CatalogLocation, clock: Clock): Promise<CatalogThere> {
  if (location.url === undefined && !(await isThere(location.path))) return 'nothing';
  await using catalog = await connectCatalog(location, clock);
  return (await hasTables(catalog)) ? ((await hasHistory(catalog)) ? 'used' : 'empty') : 'nothing';
}

async function hasTables({ db, kind }: Catalog): Promise<boolean> {
  const { rows } = await (
    kind === 'postgres'
      ? sql<{ found: unknown }>`select to_regclass('lifeboat.run')::text as found`
      : sql<{ found: unknown }>`select max(name) as found from sqlite_master where type = 'table' and name = 'run'`
  ).execute(db);
  return typeof rows[0]?.found === 'string';
}

/** Looked at as it is, of whatever age: a table that is not there holds nothing. */
async function hasHistory({ db }: Catalog): Promise<boolean> {
  for (const table of ['run', 'apiToken', 'userAccount', 'auditEntry'] as const) {
    const found = await db
      .selectFrom(table)
      .select(sql<number>`1`.as('one'))
      .limit(1)
      .execute()
      .catch(() => []);
    if (found.length > 0) return true;
  }
  return false;
}

/** Rejects with `SERVICE_ALIVE` if workers are at it. On one machine the lock of the state folder says so. */
export async function refuseLiveWorkers(location: CatalogLocation, clock: Clock): Promise<void> {
  if (location.url === undefined) return;
  await using catalog = await connectCatalog(location, clock);
  if (!(await hasTables(catalog))) return;
  const live = await liveWorkers(catalog);
  if (live.length === 0) return;
  throw new AppError(
    'SERVICE_ALIVE',
    `${live.map(({ name }) => name).join(', ')} work with the catalog that is there`,
    {
      hint: 'Stop these servers and workers first, or name another database in LIFEBOAT_DATABASE_URL.',
    },
  );
}

export interface PlacedCatalog {
  /** Where what was there lies now; absent if there was nothing. */
  readonly setAside: string | undefined;
}

export interface Placing {
  readonly clock: Clock;
  /** Of an empty one. */
  readonly fill: (catalog: Catalog) => Promise<void>;
  /** Once it is whole, before anybody can find it. */
  readonly beforeUse: () => Promise<void>;
}

export async function placeCatalog(location: CatalogLocation, placing: Placing): Promise<PlacedCatalog> {
  const stamp = new Date(placing.clock.now()).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  return location.url === undefined ? placeFile(location.path, stamp, placing) : placeSchema(location, stamp, placing);
}

/** SQLite keeps a part of a file beside it, by these names. */
const parts = ['', '-wal', '-shm', '-journal'];

async function placeFile(path: string, stamp: string, { clock, fill, beforeUse }: Placing): Promise<PlacedCatalog> {
  const beside = `${path}.recovering`;
  for (const part of parts) await rm(beside + part, { force: true });
  {
    await using catalog = await connectCatalog({ path: beside, url: undefined }, clock);
    await fill(catalog);
  }
  await beforeUse();
  const setAside = (await isThere(path)) ? `${path}.before-${stamp}` : undefined;
  if (setAside !== undefined) for (const part of parts) await renameIfThere(path + part, setAside + part);
  await rename(beside, path);
  return { setAside };
}

async function placeSchema(
  location: CatalogLocation,
  stamp: string,
  { clock, fill, beforeUse }: Placing,
): Promise<PlacedCatalog> {
  await using catalog = await connectCatalog(location, clock);
  const setAside = (await hasTables(catalog)) ? `lifeboat_before_${stamp}` : undefined;
  if (setAside !== undefined) await renameSchema(catalog, 'lifeboat', setAside);
  try {
    await fill(catalog);
    await beforeUse();
  } catch (error) {
    await sql`drop schema if exists lifeboat cascade`.execute(catalog.db);
    if (setAside !== undefined) await renameSchema(catalog, setAside, 'lifeboat');
    throw error;
  }
  return { setAside: setAside === undefined ? undefined : `schema ${setAside}` };
}

async function renameSchema({ db }: Catalog, from: string, to: string): Promise<void> {
  await sql`alter schema ${sql.id(from)} rename to ${sql.id(to)}`.execute(db);
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
