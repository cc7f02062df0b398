// The state database of the service: one SQLite file, or a schema of a PostgreSQL server that many share. The same queries go to both.
import type { Kysely, RawBuilder, Transaction } from 'kysely';
import type { Tables } from './tables.ts';

/** A database, or a transaction of one. */
export type Queries = Kysely<Tables>;

export interface Catalog extends AsyncDisposable {
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Queries;
  /** Milliseconds since 1970, as the database counts them: who shares a server has one clock, whatever the machines say. */
  readonly now: () => RawBuilder<number>;
  /** The same as a number; inside a transaction it has to be asked there. */
  nowMs(trx?: Queries): Promise<number>;
  /** All or nothing; on SQLite one process writes at a time. */
  transaction<Result>(work: (trx: Transaction<Tables>) => Promise<Result>): Promise<Result>;
}
