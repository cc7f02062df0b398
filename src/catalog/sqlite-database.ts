// SQLite of Node for Kysely, whose own driver knows another library. Two traps are closed here: a transaction that begins to write in
// its middle can't wait for another process (`SQLITE_BUSY_SNAPSHOT`), so each takes its right to write at once; and Node's default
// is not to wait at all.
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { SqliteAdapter, SqliteDialect, type Dialect, type SqliteDatabase, type SqliteStatement } from 'kysely';

const busyTimeoutMs = 10_000;

/** A file that its owner alone may read; created if it is not there. */
export function sqliteDialect(path: string): Dialect {
  const dialect = new SqliteDialect({ database: () => Promise.resolve(openDatabase(path)) });
  return {
    createDriver: () => dialect.createDriver(),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createAdapter: () => new TransactionalAdapter(),
  };
}

/** SQLite changes tables inside a transaction as any other database does, so migrations are all or nothing. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function openDatabase(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  chmodSync(path, 0o600);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  const statements = new StatementCache(database);
  return {
    close: () => database.close(),
    prepare: (text) => statements.prepare(text === 'begin' ? 'begin immediate' : text),
  };
}

const statementsMax = 500;

/** The same few hundred texts come again and again: what they mean is worked out once. */
class StatementCache {
  readonly #database: DatabaseSync;
  /** The one used last comes last. */
  readonly #kept = new Map<string, { readonly statement: StatementSync; readonly reader: boolean }>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(text: string): SqliteStatement {
    // What a text means changes with the tables.
    if (/^\s*(?:create|alter|drop)\b/i.test(text)) this.#kept.clear();
    const { statement, reader } = this.#find(text);
    return {
      reader,
      all: (parameters) => statement.all(...parameters.map(toSqlite)),
      run: (parameters) => statement.run(...parameters.map(toSqlite)),
      // One of its own: whoever reads may leave it in the middle.
      iterate: (parameters) => this.#database.prepare(text).iterate(...parameters.map(toSqlite)),
    };
  }

  #find(text: string) {
    const known = this.#kept.get(text);
    this.#kept.delete(text);
    const found = known ?? this.#compile(text);
    this.#kept.set(text, found);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > statementsMax && oldest !== undefined) this.#kept.delete(oldest);
    return found;
  }

  #compile(text: string) {
    const statement = this.#database.prepare(text);
    return { statement, reader: statement.columns().length > 0 };
  }
}

function toSqlite(value: unknown): SQLInputValue {
  if (value === undefined) return null;
  return typeof value === 'boolean' ? Number(value) : (value as SQLInputValue);
}
