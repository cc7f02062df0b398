// SQLite of Node for Kysely, whose own driver knows another library. Two traps are closed here: a transaction that begins to write in
// its middle can't wait for another process (`SQLITE_BUSY_SNAPSHOT`), so each takes its right to write at once; and Node's default
// is not to wait at all.
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type Dialect,
  type SqliteDatabase,
  type SqliteStatement,
} from 'kysely';
import { AppError } from '../base/errors.ts';

const busyTimeoutMs = 10_000;

/** A file that its owner alone may read; created if it is not there. */
export function sqliteDialect(path: string): Dialect {
  const database = (): Promise<SqliteDatabase> => Promise.resolve(openDatabase(path));
  const dialect = new SqliteDialect({ database });
  return {
    createDriver: () => new YieldingDriver({ database }),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createAdapter: () => new TransactionalAdapter(),
  };
}

/** How long one who asks in a row may keep the process from all others. */
const turnMaxMs = 10;

/** This database answers at once: whoever asks two hundred questions in a row would not let a request in before the last answer. */
class YieldingDriver extends SqliteDriver {
  #turnBeganMs: number | undefined;

  /** For a question, or for a whole transaction, which nobody may interrupt. */
  override async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#turnBeganMs === undefined) {
      this.#turnBeganMs = performance.now();
      setImmediate(() => (this.#turnBeganMs = undefined));
    } else if (performance.now() - this.#turnBeganMs > turnMaxMs) {
      await nextTurn();
    }
    return super.acquireConnection();
  }
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
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  } catch (error) {
    database.close();
    throw fileTrouble(error, path) ?? error;
  }
  const statements = new StatementCache(database, path);
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

  readonly #path: string;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
  }

  prepare(text: string): SqliteStatement {
    // What a text means changes with the tables.
    if (/^\s*(?:create|alter|drop)\b/i.test(text)) this.#kept.clear();
    const { statement, reader } = this.#told(() => this.#find(text));
    return {
      reader,
      all: (parameters) => this.#told(() => statement.all(...parameters.map(toSqlite))),
      run: (parameters) => this.#told(() => statement.run(...parameters.map(toSqlite))),
      iterate: (parameters) => this.#iterate(text, parameters),
    };
  }

  /** By a statement of its own: whoever reads may leave it in the middle. */
  *#iterate(text: string, parameters: readonly unknown[]): Generator {
    try {
      yield* this.#database.prepare(text).iterate(...parameters.map(toSqlite));
    } catch (error) {
      throw fileTrouble(error, this.#path) ?? error;
    }
  }

  /** What is wrong with the file or its disk is no defect of whoever asks. */
  #told<Result>(ask: () => Result): Result {
    try {
      return ask();
    } catch (error) {
      throw fileTrouble(error, this.#path) ?? error;
    }
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

/** Of https://sqlite.org/rescode.html; what is beyond the last byte tells more exactly. */
const resultCodes = { ioError: 10, corrupt: 11, full: 13, notADatabase: 26 } as const;

function fileTrouble(error: unknown, path: string): AppError | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  const code = error.errcode & 0xff;
  if (code === resultCodes.corrupt || code === resultCodes.notADatabase) {
    return new AppError('CATALOG_DAMAGED', `the catalog at ${path} is damaged: ${error.message}`, {
      hint: "Move the file and those beside it away, then bring the newest state back with 'lifeboat service recover'.",
      cause: error,
    });
  }
  if (code !== resultCodes.full && code !== resultCodes.ioError) return undefined;
  return new AppError('CATALOG_UNREACHABLE', `the catalog at ${path} can't be read or written: ${error.message}`, {
    hint: 'See that its disk has room and is well.',
    cause: error,
  });
}

function toSqlite(value: unknown): SQLInputValue {
  if (value === undefined) return null;
  return typeof value === 'boolean' ? Number(value) : (value as SQLInputValue);
}
