// A catalog of each kind for tests: a fresh SQLite file, a fresh database of a real PostgreSQL.
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openCatalog, type CatalogLocation } from '../../src/catalog/open-catalog.ts';
import { CatalogQueue } from '../../src/workflow/catalog-queue.ts';
import { openPgBossQueue } from '../../src/workflow/pg-boss-queue.ts';
import type { Queue } from '../../src/workflow/queue.ts';
import { describeWithPostgres, startPostgres, type TestServer } from './postgres-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface TestCatalog extends AsyncDisposable {
  readonly location: CatalogLocation;
  /** Cuts all connections to it, as a server that restarts does. Absent where there are none. */
  cut?(): Promise<unknown>;
}

export type MakeCatalog = () => Promise<TestCatalog>;

/** One suite, once for each kind of catalog. */
export function describeWithCatalogs(title: string, define: (make: MakeCatalog) => void): void {
  describe(`${title}, on SQLite`, () => define(makeSqliteCatalog));
  describeWithPostgres(15, `${title}, on PostgreSQL`, () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(15);
    });
    afterAll(() => server[Symbol.asyncDispose]());
    define(() => makePostgresCatalog(server));
  });
}

export async function makeSqliteCatalog(): Promise<TestCatalog> {
  const folder = await temporaryFolder();
  return {
    location: { path: join(folder.path, 'state', 'catalog.sqlite'), url: undefined },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

let databases = 0;

export async function makePostgresCatalog(server: TestServer): Promise<TestCatalog> {
  databases += 1;
  const name = `catalog_${databases}`;
  await server.sql('postgres', `CREATE DATABASE ${name}`);
  const { host, port, user, password = '' } = server.address;
  const url = `postgres://${user}:${encodeURIComponent(password)}@${encodeURIComponent(host)}:${port}/${name}`;
  return {
    location: { path: '', url },
    cut: () =>
      server.sql(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = '${name}' AND application_name <> '${observer}'`,
      ),
    async [Symbol.asyncDispose]() {
      await server.sql('postgres', `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** The application name of connections that `cut` leaves alone. */
const observer = 'observer';

export function openTestCatalog(
  { location }: TestCatalog,
  { isObserver = false }: { readonly isObserver?: boolean } = {},
): Promise<Catalog> {
  const url = isObserver && location.url !== undefined ? `${location.url}?application_name=${observer}` : location.url;
  return openCatalog({ ...location, url }, systemClock);
}

/** As the service chooses it. */
export async function queueFor(catalog: Catalog, { url }: CatalogLocation): Promise<Queue> {
  const onProblem = (error: Error): void => void problems.push(error);
  return url === undefined ? new CatalogQueue(catalog, { onProblem }) : openPgBossQueue({ catalog, url, onProblem });
}

/** What queues had to tell. */
export const problems: Error[] = [];
