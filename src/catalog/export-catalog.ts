// The catalog as rows, all of one instant, for a backup of it: the same for either kind of database.
import { sql, type Kysely } from 'kysely';
import type { Catalog, Queries } from './catalog.ts';
import { migrationsOf } from './migrate.ts';
import type { PortableTable } from './portable-tables.ts';

export type CatalogRow = Readonly<Record<string, unknown>>;

const pageSize = 500;
/** A store that is slow between two pages ends nothing. */
const pauseMaxMs = 10 * 60_000;

export interface FrozenCatalog {
  readonly db: Queries;
  /** That it has behind it. */
  readonly migrations: readonly string[];
}

/** Nothing that others write meanwhile is seen by `work`, and nobody waits for it. */
export async function withFrozenCatalog<Result>(
  { db, kind }: Pick<Catalog, 'db' | 'kind'>,
  work: (frozen: FrozenCatalog) => Promise<Result>,
): Promise<Result> {
  const migrations = await migrationsOf({ db, kind });
  if (kind === 'postgres') {
    const transaction = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
    return transaction.execute(async (trx) => {
      await sql`set local idle_in_transaction_session_timeout = ${sql.lit(pauseMaxMs)}`.execute(trx);
      return work({ db: trx, migrations });
    });
  }
  return db.connection().execute(async (connection) => {
    // Not the transaction of the dialect, which takes the right to write at once.
    await sql`begin deferred`.execute(connection);
    try {
      return await work({ db: connection, migrations });
    } finally {
      await sql`rollback`.execute(connection);
    }
  });
}

export interface OpenFrozenCatalog extends FrozenCatalog, AsyncDisposable {}

/** The same until it is closed. Of SQLite nothing else may be asked of the catalog meanwhile: it has one connection. */
export async function freezeCatalog(catalog: Pick<Catalog, 'db' | 'kind'>): Promise<OpenFrozenCatalog> {
  const frozen = Promise.withResolvers<FrozenCatalog>();
  const closed = Promise.withResolvers<void>();
  const work = withFrozenCatalog(catalog, (own) => {
    frozen.resolve(own);
    return closed.promise;
  });
  work.catch(frozen.reject); // Before it was frozen; afterwards whoever closes it hears of it.
  const { db, migrations } = await frozen.promise;
  return {
    db,
    migrations,
    async [Symbol.asyncDispose]() {
      closed.resolve();
      await work;
    },
  };
}

/** In the order of its key. */
export async function* rowsOf(frozen: Queries, { name, key }: PortableTable): AsyncGenerator<CatalogRow> {
  // Table and columns are known by name alone here.
  const db = frozen as unknown as Kysely<Record<string, Record<string, unknown>>>;
  const columns = sql.join(key.map((column) => sql.ref(column)));
  let last: CatalogRow | undefined;
  for (;;) {
    let query = db.selectFrom(name).selectAll();
    for (const column of key) query = query.orderBy(column);
    if (last !== undefined) {
      const values = sql.join(key.map((column) => last?.[column]));
      query = query.where(sql<boolean>`(${columns}) > (${values})`);
    }
    const page: CatalogRow[] = await query.limit(pageSize).execute();
    yield* page;
    last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
  }
}
