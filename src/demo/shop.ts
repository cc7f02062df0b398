// The shop as one thing: created, going on, destroyed, and measured by our own counts.
import { countKeys, fillCache, flushCache, goOnCaching } from './shop-cache.ts';
import {
  createShop,
  destroyDatabase,
  goOnTrading,
  readTables,
  shopDatabase,
  type TableContent,
} from './shop-database.ts';
import { createFiles, destroyFiles, goOnUploading, type ShopFolders } from './shop-files.ts';
import { missingOrders, readInstant, readWalBytes, takeOrders, type Order, type Trading } from './shop-orders.ts';
import { manifestOf, type Manifest } from './manifest.ts';
import type { CacheSession, SqlSession } from './parts.ts';
import type { DemoServers } from './servers.ts';

export interface ShopState {
  /** Undefined where the server was left out. */
  readonly tables: readonly TableContent[] | undefined;
  readonly keys: number | undefined;
  readonly uploads: Manifest;
  readonly configuration: Manifest;
}

const usualOrders = 300;

export class Shop {
  readonly #folders: ShopFolders;
  readonly #servers: DemoServers;
  readonly #scale: number;

  constructor(folders: ShopFolders, servers: DemoServers, scale: number) {
    this.#folders = folders;
    this.#servers = servers;
    this.#scale = scale;
  }

  async create(onFile: (done: number, total: number) => void, signal: AbortSignal): Promise<void> {
    await this.#onDatabase('postgres', (session) => session.query(`CREATE DATABASE ${shopDatabase}`), signal);
    await this.#onDatabase(shopDatabase, (session) => createShop(session, this.#scale), signal);
    await this.#onCache((session) => fillCache(session, this.#scale), signal);
    await createFiles(this.#folders, { scale: this.#scale, onFile }, signal);
  }

  /** Between the two backups. */
  async goOn(trading: Trading, signal: AbortSignal): Promise<void> {
    await this.takeOrders(trading, signal);
    await this.#onDatabase(shopDatabase, goOnTrading, signal);
    await this.#onCache((session) => goOnCaching(session, this.#scale), signal);
    await goOnUploading(this.#folders, this.#scale);
  }

  async takeOrders(trading: Trading, signal: AbortSignal): Promise<void> {
    await this.#onDatabase(shopDatabase, (session) => takeOrders(session, trading), signal);
  }

  /** Tells how far the server's log is then, in bytes. */
  async destroy(signal: AbortSignal): Promise<number | undefined> {
    await this.#onDatabase(shopDatabase, destroyDatabase, signal);
    await this.#onCache(flushCache, signal);
    await destroyFiles(this.#folders);
    return await this.walBytes(signal);
  }

  /** Counted anew each time. */
  async measure(signal: AbortSignal): Promise<ShopState> {
    const { uploads, environmentFile, composeFile } = this.#folders;
    return {
      tables: await this.#onDatabase(shopDatabase, readTables, signal),
      keys: await this.#onCache(countKeys, signal),
      uploads: await manifestOf([uploads], signal),
      configuration: await manifestOf([environmentFile, composeFile], signal),
    };
  }

  /** How many customers come between two steps. */
  get ordersAtOnce(): number {
    return Math.max(20, Math.round(usualOrders * this.#scale));
  }

  /** How far the database's log is, in bytes. */
  walBytes(signal: AbortSignal): Promise<number | undefined> {
    return this.#onDatabase(shopDatabase, readWalBytes, signal);
  }

  /** Now, by the clock of the database; undefined without one. */
  instant(signal: AbortSignal): Promise<string | undefined> {
    return this.#onDatabase(shopDatabase, readInstant, signal);
  }

  missingOrders(confirmed: readonly Order[], signal: AbortSignal): Promise<Order[] | undefined> {
    return this.#onDatabase(shopDatabase, (session) => missingOrders(session, confirmed), signal);
  }

  async #onDatabase<Result>(
    database: string,
    act: (session: SqlSession) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    if (this.#servers.database === undefined) return undefined;
    await using session = await this.#servers.database.connect(database, signal);
    return await act(session);
  }

  async #onCache<Result>(
    act: (session: CacheSession) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    if (this.#servers.cache === undefined) return undefined;
    await using session = await this.#servers.cache.connect(signal);
    return await act(session);
  }
}
