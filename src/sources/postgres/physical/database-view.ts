// One database while a backup finds its exact end: a transaction that sees the rows of one instant, with writers held off until the
// position of that instant was read.
import type { FingerprintItem } from '../../../model/fingerprint.ts';
import { type Connection, connect } from '../connection.ts';
import { pinnedSettings } from '../fingerprint.ts';
import type { SequenceValue } from '../logical/dump-toc.ts';
import type { ServerAddress } from '../server-address.ts';
import { qualifiedName } from '../tables.ts';
import { durableValues } from './durable-sequences.ts';
import {
  isSameStructure,
  largeObjectsItemName,
  physicalItems,
  readStructure,
  sequenceItemName,
  type Structure,
} from './physical-rows.ts';

/**
 * Who waits for one of our locks while holding one that we wait for would be ended by the server after `deadlock_timeout`, 1 s; so
 * would a vacuum that runs by itself. So all locks are there, or given up, before.
 */
const lockWaitMaxMs = 300;
const lockingMaxMs = 600;
const tablesPerStatement = 2000;

export class DatabaseView implements AsyncDisposable {
  readonly name: string;
  readonly #address: ServerAddress;
  readonly #connection: Connection;
  readonly #isSuperuser: boolean;
  #structure: Structure | undefined;
  #sequences: readonly SequenceValue[] = [];
  #sequencesAfter: readonly SequenceValue[] = [];

  private constructor(connection: Connection, { address, isSuperuser }: ViewOptions) {
    this.name = connection.database;
    this.#connection = connection;
    this.#address = address;
    this.#isSuperuser = isSuperuser;
  }

  static async open(options: ViewOptions, database: string, signal: AbortSignal): Promise<DatabaseView> {
    const connection = await connect(options.address, database, signal);
    try {
      await connection.query(pinnedSettings);
      return new DatabaseView(connection, options);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Before the attempt, while nobody waits for us. */
  async prepare(): Promise<void> {
    this.#structure = await readStructure(this.#connection, this.name);
  }

  /** Holds off writers (readers go on) and makes the snapshot. Rejects if that takes too long. */
  async holdWriters(): Promise<void> {
    const relations = this.#known.tables.map((table) => `ONLY ${qualifiedName(table)}`);
    if (this.#isSuperuser) relations.push('pg_catalog.pg_largeobject_metadata', 'pg_catalog.pg_largeobject');
    const locks: string[] = [];
    for (let at = 0; at < relations.length; at += tablesPerStatement) {
      locks.push(`LOCK TABLE ${relations.slice(at, at + tablesPerStatement).join(', ')} IN SHARE MODE`);
    }
    await this.#connection.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = ${lockWaitMaxMs};
       SET LOCAL statement_timeout = ${lockingMaxMs}; SAVEPOINT writers; ${locks.join('; ')}`,
    );
    await this.#makeSnapshot();
  }

  /** Gives back the locks; the snapshot stays. */
  async letWritersGo(): Promise<void> {
    this.#sequencesAfter = await durableValues(this.#connection, this.#known.sequences);
    await this.#connection.query(
      'ROLLBACK TO SAVEPOINT writers; RELEASE SAVEPOINT writers; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0',
    );
  }

  /** Makes the snapshot where nothing is written: at a standby whose replay is paused. */
  async begin(): Promise<void> {
    await this.#connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    this.#structure = await readStructure(this.#connection, this.name);
    await this.#makeSnapshot();
    this.#sequencesAfter = this.#sequences;
  }

  /** Whether the structure was the same before and after the position was read: locks of tables do not keep it. */
  async isSettled(signal: AbortSignal): Promise<boolean> {
    const locked = this.#known.tables;
    this.#structure = await readStructure(this.#connection, this.name);
    await using other = await connect(this.#address, this.name, signal);
    await other.query(pinnedSettings);
    const later = await readStructure(other, this.name);
    return isSameStructure(this.#structure, later) && isSameStructure({ ...later, tables: locked }, later);
  }

  /** Names of items whose state at the position is not certain. */
  leftOut(): string[] {
    const after = new Map(this.#sequencesAfter.map((one) => [sequenceItemName(this.name, one), one]));
    const moved = this.#sequences.flatMap((one) => {
      const name = sequenceItemName(this.name, one);
      const later = after.get(name);
      return later === undefined || later.lastValue === one.lastValue ? [] : [name];
    });
    return this.#isSuperuser ? moved : [...moved, largeObjectsItemName(this.name)];
  }

  items(leftOut: readonly string[]): Promise<FingerprintItem[]> {
    const rows = { database: this.name, structure: this.#known, sequences: this.#sequences };
    return physicalItems(this.#connection, rows, leftOut);
  }

  /** Ends the transaction: the next attempt begins anew. */
  async giveUp(): Promise<void> {
    await this.#connection.query('ROLLBACK');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  get #known(): Structure {
    if (this.#structure === undefined) throw new Error('the structure of the database was not read yet');
    return this.#structure;
  }

  /** The first query of a transaction makes it. */
  async #makeSnapshot(): Promise<void> {
    await this.#connection.query('SELECT 1');
    this.#sequences = await durableValues(this.#connection, this.#known.sequences);
  }
}

export interface ViewOptions {
  readonly address: ServerAddress;
  readonly isSuperuser: boolean;
}
